#!/usr/bin/env bash
# Checks our objects, fields and permission set with Salesforce's own command line, which converts
# them into the form that an org takes. Nothing is sent to an org; it needs npm and about a minute.
#
#   docs/check_metadata.sh [OUTPUT_FOLDER [PROJECT_FOLDER]]
#
# The Salesforce CLI needs Node.js 22 or newer. If the system's is older or missing, Node.js 22 is
# installed from npm for this one run.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
project=$(cd "${2:-$root/m3sync_dagster/salesforce/metadata}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
output=${1:-$work/converted}
mkdir -p "$output"
output=$(cd "$output" && pwd)

export SF_DISABLE_TELEMETRY=true SF_AUTOUPDATE_DISABLE=true SF_SKIP_NEW_VERSION_CHECK=true
packages=(@salesforce/cli)
node=node
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
if [ "${major:-0}" -lt 22 ]; then
  packages+=("node-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@22")
  node=$(printf '%s/node_modules/%s/bin/node' "$work" "${packages[1]%@22}")
fi
npm install --prefix "$work" --no-audit --no-fund --no-save --ignore-scripts --loglevel=error \
  "${packages[@]}"

# The CLI writes its state to the home folder; this one is deleted at the end.
cp -R "$project" "$work/project"
cd "$work/project"
HOME=$work "$node" "$work/node_modules/@salesforce/cli/bin/run.js" project convert source \
  --root-dir force-app --output-dir "$output"
find "$output" -type f | sort

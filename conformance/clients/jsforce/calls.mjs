// What the scripts of this folder share: a connection to the sandbox, and the check of each call.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

export const jsforce = createRequire(process.cwd() + '/')('jsforce')
export const ACCOUNT = 'Account'
export const BIG_TABLE = 'BigTable__c'
// An object whose external ID is not unique.
export const UPSERT_TABLE = 'UpsertTable__c'
export const UPSERT_KEY = 'ExtId__c'
export const KEY = 'm3ter_Id__c'
// The version from which jsforce upserts several records by one request.
export const COLLECTIONS_VERSION = '46.0'

const url = process.env.SALESFORCE_LOGIN_URL
const login = await fetch(`${url}/services/oauth2/token`, {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: process.env.SALESFORCE_CLIENT_ID,
    client_secret: process.env.SALESFORCE_CLIENT_SECRET,
  }),
})
export const { access_token: accessToken } = await login.json()

export function connect(options = {}) {
  const connection = new jsforce.Connection({ instanceUrl: url, accessToken, version: '67.0', ...options })
  connection.bulk2.pollInterval = 100
  return connection
}

// The numbers from 1 to count, each turned into a record.
export const records = (count, record) => Array.from({ length: count }, (_, n) => record(n + 1))

export function allSucceeded(results, count) {
  assert.equal(results.length, count)
  for (const one of results) assert.ok(one.success, JSON.stringify(one))
}

// Passes if the call is refused with this error code.
export async function refused(code, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.errorCode ?? error.name, code)
    return true
  })
}

// Makes the calls in their order, and prints one outcome a line.
export async function run(script, calls) {
  for (const [name, call] of Object.entries(calls)) {
    let error = null
    try {
      await call()
    } catch (problem) {
      error = String(problem).slice(0, 300)
    }
    console.log(JSON.stringify({ test: `${script}: ${name}`, error }))
  }
  // jsforce keeps connections open, so the process would not end.
  process.exit()
}

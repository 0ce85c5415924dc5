// Calls that jsforce's own tests make in an org, against the sandbox. Prints one outcome a line.
import { createRequire } from 'node:module'

const jsforce = createRequire(process.cwd() + '/')('jsforce')
const ACCOUNT = 'm3ter_Account__c'
const KEY = 'm3ter_Id__c'
const url = process.env.SALESFORCE_LOGIN_URL
const rows = [...Array(5).keys()].map((n) => ({ [KEY]: `row ${n}`, Name: `Näme, ${n}` }))
const query = `SELECT Id, ${KEY}, Name FROM ${ACCOUNT} ORDER BY ${KEY}`

const login = await fetch(`${url}/services/oauth2/token`, {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: process.env.SALESFORCE_CLIENT_ID,
    client_secret: process.env.SALESFORCE_CLIENT_SECRET,
  }),
})
const { access_token: accessToken } = await login.json()
const connection = new jsforce.Connection({ instanceUrl: url, accessToken, version: '67.0' })
connection.bulk2.pollInterval = 100
const object = connection.sobject(ACCOUNT)

const calls = {
  'describe global': async () =>
    (await connection.describeGlobal()).sobjects.some((one) => one.name === ACCOUNT),
  'describe object': async () => (await object.describe()).name === ACCOUNT,
  limits: async () => (await connection.limits()).DailyApiRequests.Max > 0,
  'bulk2 upsert': async () => {
    const options = { object: ACCOUNT, operation: 'upsert', externalIdFieldName: KEY, input: rows }
    const { successfulResults } = await connection.bulk2.loadAndWaitForResults(options)
    return successfulResults.length === rows.length
  },
  query: async () => (await connection.query(query)).records.every((one, n) => one.Name === rows[n].Name),
  'upsert of several records': async () => (await object.upsert(rows, KEY)).every((one) => one.success),
  'upsert of a new record': async () => (await object.upsert({ [KEY]: 'new', Name: 'New' }, KEY)).success,
  'bulk2 query': async () => {
    const stream = await connection.bulk2.query(query)
    return (await stream.toArray()).length === rows.length + 1
  },
}
for (const [test, call] of Object.entries(calls)) {
  let error = null
  try {
    if (!(await call())) error = 'another result'
  } catch (problem) {
    error = String(problem).slice(0, 300)
  }
  console.log(JSON.stringify({ test, error }))
}

// Ingest jobs and query jobs.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { ACCOUNT, accessToken, allSucceeded, BIG_TABLE, connect, jsforce, KEY, records, run } from './calls.mjs'

const connection = connect()
const { bulk2 } = connection
const account = connection.sobject(ACCOUNT)
const BULK = { bulkApiVersion: 2, bulkThreshold: 0 }
const never = { CreatedDate: { $lt: new jsforce.SfDate('1970-01-01T00:00:00Z') } }
const named = (name) => account.find({ Name: { $like: `${name}%` } }, ['Id', 'Name', 'BillingState'])

const load = (operation, input, options = {}) =>
  bulk2.loadAndWaitForResults({ object: ACCOUNT, operation, input, ...options })

const upsert = (input, options = {}) => load('upsert', input, { externalIdFieldName: KEY, ...options })

function check({ successfulResults, failedResults, unprocessedRecords }, succeeded, created) {
  assert.deepEqual([successfulResults.length, failedResults.length, unprocessedRecords.length], [succeeded, 0, 0])
  for (const one of successfulResults) assert.equal(one.sf__Created, String(created))
}

async function insert(name, count) {
  check(await load('insert', records(count, (n) => ({ Name: `${name} ${n}`, BillingState: 'CA' }))), count, true)
}

async function readAll(stream) {
  const found = []
  for await (const one of stream) found.push(one)
  return found
}

async function update(name, options) {
  const results = await named(name).update({ Name: '${Name} new', BillingState: null }, options)
  const found = await named(name)
  assert.ok(found.every((one) => one.Name.endsWith(' new') && one.BillingState === null))
  return results
}

async function errorOf(job) {
  await assert.rejects(bulk2.loadAndWaitForResults(job))
}

await run('bulk2', {
  'insert with an invalid row': async () => {
    const rows = [...records(20, (n) => ({ Name: `Row ${n}`, NumberOfEmployees: n })), { BillingState: 'CA' }]
    const { successfulResults, failedResults } = await load('insert', rows)
    assert.equal(successfulResults.length, 20)
    assert.equal(failedResults.length, 1)
    assert.equal(failedResults[0].sf__Id, '')
    assert.ok(failedResults[0].sf__Error.startsWith('REQUIRED_FIELD_MISSING:'))
  },
  'insert no row': async () => check(await load('insert', []), 0, true),
  'insert from a CSV file': async () => {
    check(await load('insert', Readable.from(['Name,BillingCity\nFile 1,"New ""York"", NY"\nFile 2,\n'])), 2, true)
    const [found] = await account.find({ Name: 'File 1' })
    assert.equal(found.BillingCity, 'New "York", NY')
  },
  update: async () => {
    await insert('Update', 20)
    const rows = (await named('Update')).map(({ Id, Name }) => ({ Id, Name: `${Name} again` }))
    check(await load('update', rows), 20, false)
    assert.ok((await named('Update')).every((one) => one.Name.endsWith(' again')))
  },
  delete: async () => {
    await insert('Delete', 20)
    check(await load('delete', (await named('Delete')).map(({ Id }) => ({ Id }))), 20, false)
    assert.deepEqual(await named('Delete'), [])
  },
  'delete no row': async () => check(await load('delete', []), 0, false),
  'hard delete': async () => {
    await insert('Erase', 3)
    check(await load('hardDelete', (await named('Erase')).map(({ Id }) => ({ Id }))), 3, false)
    const { totalSize } = await connection.query("SELECT Id FROM Account WHERE Name LIKE 'Erase%'", { scanAll: true })
    assert.equal(totalSize, 0)
  },
  'upsert by external ID': async () => {
    check(await upsert([{ [KEY]: 'bulk 1', Name: 'Ä' }]), 1, true)
    check(await upsert([{ [KEY]: 'bulk 1', Name: 'Ö' }]), 1, false)
    assert.equal((await account.retrieve((await account.findOne({ [KEY]: 'bulk 1' })).Id)).Name, 'Ö')
  },
  'upsert by Id, with backquotes between the columns': async () => {
    const options = { externalIdFieldName: 'Id', columnDelimiter: 'BACKQUOTE' }
    check(await upsert(Readable.from(['Id`Name\n`Backquote 1\n`Backquote 2\n']), options), 2, true)
  },
  'upsert of null': async () => {
    check(await upsert([{ [KEY]: 'null', Name: 'Null', BillingCity: 'Rome' }]), 1, true)
    check(await upsert([{ [KEY]: 'null', BillingCity: null }]), 1, false)
    assert.equal((await account.findOne({ [KEY]: 'null' })).BillingCity, null)
  },
  'job step by step': async () => {
    const job = bulk2.createJob({ object: ACCOUNT, operation: 'insert' })
    assert.equal((await job.open()).state, 'Open')
    await job.uploadData([{ Name: 'Steps' }])
    await job.close()
    await job.poll(100, 60_000)
    const { state, numberRecordsProcessed, numberRecordsFailed } = await job.check()
    assert.deepEqual([state, numberRecordsProcessed, numberRecordsFailed], ['JobComplete', 1, 0])
    assert.equal((await job.getSuccessfulResults()).length, 1)
    assert.deepEqual(await job.getFailedResults(), [])
    await job.delete()
    await assert.rejects(bulk2.job('ingest', { id: job.id }).check())
  },
  'aborted job': async () => {
    const job = bulk2.createJob({ object: ACCOUNT, operation: 'insert' })
    await job.open()
    await job.abort()
    assert.equal((await job.check()).state, 'Aborted')
  },
  'job with an unknown column': () => errorOf({ object: ACCOUNT, operation: 'insert', input: 'Unknown__c\n1\n' }),
  'job of an unknown object': () => errorOf({ object: 'Unknown__c', operation: 'insert', input: 'Name\n1\n' }),
  'upsert by a field that is no key': () =>
    errorOf({ object: ACCOUNT, operation: 'upsert', externalIdFieldName: 'Phone', input: 'Phone\n1\n' }),
  query: async () => {
    const found = await readAll(await bulk2.query(`SELECT Id, Name FROM ${BIG_TABLE}`))
    assert.equal(found.length, await connection.sobject(BIG_TABLE).count({}))
    assert.ok(found.every((one) => one.Id && one.Name))
  },
  'query with deleted records': async () => {
    const found = await readAll(
      await bulk2.query("SELECT Id FROM Account WHERE IsDeleted = true AND Name LIKE 'Delete %'", { scanAll: true }),
    )
    assert.equal(found.length, 20)
  },
  'query that is malformed': () => assert.rejects(bulk2.query('SELECT Unknown__c FROM Account')),
  'session that is renewed': async () => {
    let refreshed = false
    const renewed = connect({
      accessToken: 'invalid',
      refreshFn: (_, done) => {
        refreshed = true
        done(null, accessToken)
      },
    })
    const job = { object: ACCOUNT, operation: 'insert', input: [{ Name: 'Renewed' }] }
    check(await renewed.bulk2.loadAndWaitForResults(job), 1, true)
    assert.ok(refreshed)
  },
  'session that is invalid': () =>
    assert.rejects(
      connect({ accessToken: 'invalid' }).bulk2.loadAndWaitForResults({
        object: ACCOUNT, operation: 'insert', input: [{ Name: 'Never' }],
      }),
      { name: 'INVALID_SESSION_ID' },
    ),
  'update of what a query finds': async () => {
    await insert('Found', 250)
    allSucceeded(await update('Found', { bulkApiVersion: 2 }), 250)
  },
  'update of a few that a query finds': async () => {
    await insert('Few', 20)
    allSucceeded(await update('Few', BULK), 20)
  },
  'update of what no query finds': async () =>
    assert.deepEqual(await account.find(never).update({ Name: 'New' }, { bulkApiVersion: 2 }), []),
  'deletion of what a query finds': async () =>
    allSucceeded(await named('Found').destroy({ bulkApiVersion: 2 }), 250),
  'deletion of a few that a query finds': async () => allSucceeded(await named('Few').destroy(BULK), 20),
  'deletion of what no query finds': async () =>
    assert.deepEqual(await account.find(never).destroy({ bulkApiVersion: 2 }), []),
})

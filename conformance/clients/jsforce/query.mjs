// Queries: pages, streams, conditions, aggregates, and what is refused.
import assert from 'node:assert/strict'
import { ACCOUNT, allSucceeded, BIG_TABLE, connect, jsforce, records, run } from './calls.mjs'

const PAGE = 2000
const ALL_BIG = `SELECT Id, Name FROM ${BIG_TABLE}`
const connection = connect()
const account = connection.sobject(ACCOUNT)
const total = await connection.sobject(BIG_TABLE).count({})
const never = { CreatedDate: { $lt: new jsforce.SfDate('1970-01-01T00:00:00Z') } }
const named = (name) => account.find({ Name: { $like: `${name} %` } }, ['Id', 'Name', 'BillingState'])
const refused = (code, soql) => assert.rejects(async () => { await connection.query(soql) }, { name: code })

async function create(name, count) {
  const rows = records(count, (n) => ({ Name: `${name} ${n}`, BillingState: 'CA', NumberOfEmployees: n }))
  allSucceeded(await account.create(rows, { allowRecursive: true }), count)
}

async function ofQuery(soql) {
  return (await connection.query(soql)).records
}

async function events(options) {
  const found = []
  const query = connection.query(ALL_BIG)
  await new Promise((resolve, reject) => {
    query.on('record', (one) => found.push(one)).on('end', resolve).on('error', reject).run(options)
  })
  assert.equal(query.totalFetched, found.length)
  return found.length
}

async function fetched(maxFetch) {
  const result = await connection.query(ALL_BIG, { autoFetch: true, maxFetch })
  assert.equal(result.totalSize, total)
  return result.records.length
}

await create('Query', 20)
await run('query', {
  query: async () => assert.ok((await connection.query('SELECT Id, Name FROM Account')).totalSize >= 20),
  'query with deleted records': async () => {
    const { id } = await account.create({ Name: 'Query deleted' })
    await account.destroy(id)
    const soql = `SELECT Id, IsDeleted FROM Account WHERE IsDeleted = true AND Id = '${id}'`
    assert.equal((await connection.query(soql)).totalSize, 0)
    assert.equal((await connection.query(soql, { scanAll: true })).records[0].IsDeleted, true)
  },
  'page after page': async () => {
    let result = await connection.query(ALL_BIG)
    assert.deepEqual([result.records.length, result.done], [PAGE, false])
    let count = result.records.length
    while (!result.done) {
      result = await connection.queryMore(result.nextRecordsUrl)
      count += result.records.length
    }
    assert.equal(count, total)
  },
  'first page only': async () => assert.equal(await events({ autoFetch: false }), PAGE),
  'up to a number of records': async () => assert.equal(await events({ autoFetch: true, maxFetch: 5000 }), 5000),
  'up to the end of a page': async () => assert.equal(await fetched(2 * PAGE), 2 * PAGE),
  'up to one less': async () => assert.equal(await fetched(2 * PAGE - 1), 2 * PAGE - 1),
  'up to one more': async () => assert.equal(await fetched(2 * PAGE + 1), 2 * PAGE + 1),
  'up to more than there are': async () => assert.equal(await fetched(5_000_000), total),
  'pages of another size': async () => {
    const options = { headers: { 'Sforce-Query-Options': 'batchSize=200' } }
    assert.equal((await connection.query(ALL_BIG, options)).records.length, 200)
  },
  'stream of CSV': async () => {
    let text = ''
    for await (const part of connection.query('SELECT Id, Name FROM Account LIMIT 10').stream('csv')) text += part
    assert.equal(text.split('\n')[0], 'Id,Name')
    assert.equal(text.trim().split('\n').length, 11)
  },
  'query plan': async () => {
    const { plans } = await connection.query('SELECT Id FROM Account ORDER BY CreatedDate DESC LIMIT 10').explain()
    assert.ok(plans.length > 0 && plans.every((one) => one.sobjectType === ACCOUNT))
  },
  count: async () => assert.equal(await account.count({ Name: { $like: 'Query %' } }), 20),
  'conditions, order, limit and offset': async () => {
    const found = await account
      .find({ Name: { $like: 'Query %' }, NumberOfEmployees: { $lt: 15 }, BillingState: { $in: ['CA', 'NY'] } })
      .sort({ NumberOfEmployees: -1 }).limit(3).skip(1)
    assert.deepEqual(found.map((one) => one.NumberOfEmployees), [13, 12, 11])
  },
  'alternatives and no value': async () => {
    const found = await account.find({ $or: [{ Name: 'Query 1' }, { Name: 'Query 2' }], BillingCity: null })
    assert.equal(found.length, 2)
  },
  'text with a quote': async () => {
    const name = "O'Neill"
    await account.create({ Name: name })
    assert.equal((await account.findOne({ Name: name })).Name, name)
  },
  'fields of the parent': async () => {
    const { id } = await account.create({ Name: 'Query parent' })
    await account.create({ Name: 'Query child', ParentId: id })
    const [child] = await ofQuery("SELECT Name, Parent.Name, Owner.Name FROM Account WHERE Parent.Name = 'Query parent'")
    assert.deepEqual([child.Name, child.Parent.Name], ['Query child', 'Query parent'])
  },
  'children of the parent': async () => {
    const [parent] = await ofQuery("SELECT Name, (SELECT Name FROM ChildAccounts) FROM Account WHERE Name = 'Query parent'")
    assert.equal(parent.ChildAccounts.records[0].Name, 'Query child')
  },
  aggregates: async () => {
    const [one] = await ofQuery(
      "SELECT BillingState, COUNT(Id) number, MAX(NumberOfEmployees) most FROM Account WHERE Name LIKE 'Query %' " +
        'AND BillingState != null GROUP BY BillingState HAVING COUNT(Id) > 1',
    )
    assert.deepEqual([one.BillingState, one.number, one.most], ['CA', 20, 20])
  },
  'dates by name': async () => {
    const soql = "SELECT COUNT() FROM Account WHERE Name LIKE 'Query %' AND CreatedDate >= LAST_N_DAYS:2"
    assert.ok((await connection.query(soql)).totalSize >= 20)
  },
  'all fields': async () => {
    const [one] = await ofQuery("SELECT FIELDS(ALL) FROM Account WHERE Name = 'Query 1' LIMIT 1")
    assert.equal(one.NumberOfEmployees, 1)
  },
  'update of what is found': async () => {
    await create('Change', 20)
    allSucceeded(await named('Change').update({ Name: '${Name} new', BillingState: null }), 20)
    const found = await named('Change')
    assert.ok(found.every((one) => one.Name.endsWith(' new') && one.BillingState === null))
  },
  'update of more than 200, without a job': async () => {
    await create('Many', 300)
    allSucceeded(await named('Many').update({ Name: '${Name} new' }, { allowBulk: false }), 300)
  },
  'deletion of what is found': async () => allSucceeded(await named('Change').destroy(), 20),
  'deletion of more than 200, without a job': async () =>
    allSucceeded(await named('Many').destroy({ allowBulk: false }), 300),
  'update of nothing': async () => assert.deepEqual(await account.find(never).update({ Name: 'New' }), []),
  'deletion of nothing': async () => assert.deepEqual(await account.find(never).destroy(), []),
  'malformed query': () => refused('MALFORMED_QUERY', 'SELECT FROM Account'),
  'query of an unknown field': () => refused('INVALID_FIELD', 'SELECT Unknown__c FROM Account'),
  'query of an unknown object': () => refused('INVALID_TYPE', 'SELECT Id FROM Unknown__c'),
})

// Single records, several records in one request, upserts, and what is refused.
import assert from 'node:assert/strict'
import {
  ACCOUNT, accessToken, allSucceeded, COLLECTIONS_VERSION, connect, KEY, records, refused, run, UPSERT_KEY,
  UPSERT_TABLE,
} from './calls.mjs'

const connection = connect()
const account = connection.sobject(ACCOUNT)
const table = connection.sobject(UPSERT_TABLE)
const beforeCollections = connect({ version: '45.0' })
const firstCollections = connect({ version: COLLECTIONS_VERSION })
const keyed = (prefix) => records(5, (n) => ({ Name: `${prefix} ${n}`, [UPSERT_KEY]: `${prefix}-${n}` }))
const invalidSession = (refreshFn) => connect({ accessToken: 'invalid', refreshFn })
let id, ids, upserted

await run('crud', {
  create: async () => {
    const result = await account.create({ Name: 'One', NumberOfEmployees: 5 })
    assert.ok(result.success)
    id = result.id
  },
  retrieve: async () => {
    const record = await account.retrieve(id)
    assert.deepEqual([record.Id, record.Name, record.attributes.type], [id, 'One', ACCOUNT])
    assert.equal(record.NumberOfEmployees, 5)
  },
  'retrieve some fields': async () => {
    const record = await account.retrieve(id, { fields: ['Name'] })
    assert.equal(record.Name, 'One')
    assert.equal(record.NumberOfEmployees, undefined)
  },
  update: async () => {
    await account.record(id).update({ Name: 'Two' })
    assert.equal((await account.record(id).retrieve()).Name, 'Two')
  },
  'update with a header': async () => {
    await account.record(id).update({ Name: 'Three' }, { headers: { 'SForce-Auto-Assign': 'FALSE' } })
    assert.equal((await account.retrieve(id)).Name, 'Three')
  },
  'set a field to null': async () => {
    await account.update({ Id: id, NumberOfEmployees: null })
    assert.equal((await account.retrieve(id)).NumberOfEmployees, null)
  },
  delete: async () => {
    assert.ok((await account.destroy(id)).success)
    await assert.rejects(account.retrieve(id))
  },
  'create several': async () => {
    const results = await account.create(records(2, (n) => ({ Name: `Several ${n}` })))
    allSucceeded(results, 2)
    ids = results.map((one) => one.id)
  },
  'retrieve several': async () => {
    const found = await account.retrieve(ids)
    assert.deepEqual(found.map((one) => one.Name), ['Several 1', 'Several 2'])
  },
  'update several': async () => {
    allSucceeded(await account.update(ids.map((one, n) => ({ Id: one, Name: `New ${n}` }))), 2)
    assert.deepEqual((await account.retrieve(ids)).map((one) => one.Name), ['New 0', 'New 1'])
  },
  'delete several': async () => {
    allSucceeded(await account.destroy(ids), 2)
    assert.deepEqual(await account.retrieve(ids), [null, null])
  },
  'create more than 200 in several requests': async () => {
    const results = await account.create(records(250, (n) => ({ Name: `Many ${n}` })), { allowRecursive: true })
    allSucceeded(results, 250)
    allSucceeded(await account.destroy(results.map((one) => one.id), { allowRecursive: true }), 250)
  },
  'create several with an invalid one': async () => {
    const [good, bad] = await account.create([{ Name: 'Good' }, {}])
    assert.deepEqual([good.success, bad.success], [true, false])
    assert.equal(bad.errors[0].statusCode, 'REQUIRED_FIELD_MISSING')
    assert.deepEqual(bad.errors[0].fields, ['Name'])
  },
  'upsert a new record': async () => {
    const result = await table.upsert({ Name: 'New', [UPSERT_KEY]: 'key' }, UPSERT_KEY)
    assert.deepEqual([result.success, result.created], [true, true])
    upserted = result.id
  },
  'upsert an existing record': async () => {
    const result = await table.upsert({ Name: 'Old', [UPSERT_KEY]: 'key' }, UPSERT_KEY)
    assert.deepEqual([result.created, result.id], [false, upserted])
    assert.equal((await table.retrieve(upserted)).Name, 'Old')
  },
  'upsert a record whose key two records have': async () => {
    await table.create({ Name: 'Other', [UPSERT_KEY]: 'key' })
    const upsert = table.upsert({ Name: 'Which?', [UPSERT_KEY]: 'key' }, UPSERT_KEY)
    await assert.rejects(upsert, (error) => {
      assert.equal(error.name, 'MULTIPLE_CHOICES')
      return error.data.length === 2 && typeof error.data[0] === 'string'
    })
  },
  'upsert several by single requests': async () => {
    allSucceeded(await beforeCollections.sobject(UPSERT_TABLE).upsert(keyed('single'), UPSERT_KEY), 5)
  },
  'upsert several by one request': async () => {
    allSucceeded(await firstCollections.sobject(UPSERT_TABLE).upsert(keyed('collection'), UPSERT_KEY), 5)
  },
  'upsert several, all or none': async () => {
    const wanted = keyed('all-or-none')
    wanted[2].OwnerId = 'no Id'
    const results = await firstCollections.sobject(UPSERT_TABLE).upsert(wanted, UPSERT_KEY, { allOrNone: true })
    const codes = results.map((one) => one.errors[0].statusCode)
    const rolledBack = 'ALL_OR_NONE_OPERATION_ROLLED_BACK'
    assert.deepEqual(codes, [rolledBack, rolledBack, 'MALFORMED_ID', rolledBack, rolledBack])
    const keys = wanted.map((one) => one[UPSERT_KEY])
    assert.equal(await table.count({ [UPSERT_KEY]: { $in: keys } }), 0)
  },
  'upsert several with a key twice': async () => {
    const results = await account.upsert([{ Name: 'A', [KEY]: 'twice' }, { Name: 'B', [KEY]: 'twice' }], KEY)
    assert.ok(results.some((one) => one.errors[0]?.statusCode === 'DUPLICATE_VALUE'))
  },
  'create without a required field': () => refused('REQUIRED_FIELD_MISSING', account.create({})),
  'create with an unknown field': () => refused('INVALID_FIELD', account.create({ Name: 'A', Unknown__c: 1 })),
  'create with a value of the wrong type': () =>
    refused('JSON_PARSER_ERROR', account.create({ Name: 'A', NumberOfEmployees: 'five' })),
  'create with a text that is too long': () =>
    refused('STRING_TOO_LONG', account.create({ Name: 'A'.repeat(256) })),
  'create with a key that exists': async () => {
    await account.create({ Name: 'First', [KEY]: 'exists' })
    await refused('DUPLICATE_VALUE', account.create({ Name: 'Second', [KEY]: 'exists' }))
  },
  'update a deleted record': () => refused('ENTITY_IS_DELETED', account.update({ Id: id, Name: 'A' })),
  'an invalid session': () => refused('INVALID_SESSION_ID', invalidSession().sobject(ACCOUNT).describe()),
  'an invalid session that is renewed': async () => {
    const renewed = invalidSession((_, done) => done(null, accessToken))
    assert.equal((await renewed.sobject(ACCOUNT).describe()).name, ACCOUNT)
  },
  search: () => connection.search('FIND {One} IN NAME FIELDS RETURNING Account(Id, Name)'),
})

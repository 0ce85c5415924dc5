// Descriptions, recent records, changes, the user and the limits.
import assert from 'node:assert/strict'
import { ACCOUNT, connect, KEY, run } from './calls.mjs'

const connection = connect()
const account = connection.sobject(ACCOUNT)
const minute = 60_000
const between = () => [new Date(Date.now() - 10 * minute), new Date(Date.now() + minute)]
const created = await account.create([{ Name: 'Changed' }, { Name: 'Deleted' }])
const [changed, deleted] = created.map((one) => one.id)

await run('meta', {
  'describe an object': async () => {
    const { name, fields } = await account.describe()
    assert.equal(name, ACCOUNT)
    assert.ok(fields.find((one) => one.name === KEY).externalId)
  },
  'describe an object once': async () => {
    const first = await account.describe$()
    assert.equal(await account.describe$(), first)
    assert.equal(account.describe$$(), first)
  },
  'describe an unknown object': () =>
    assert.rejects(connection.sobject('Unknown__c').describe(), { name: 'NOT_FOUND' }),
  'describe all objects': async () => {
    const { sobjects } = await connection.describeGlobal()
    const found = sobjects.find((one) => one.name === ACCOUNT)
    assert.equal(found.keyPrefix, '001')
    assert.equal(found.fields, undefined)
  },
  'describe all objects once': async () => {
    const first = await connection.describeGlobal$()
    assert.equal(connection.describeGlobal$$(), first)
  },
  'records marked as viewed': () =>
    connection.query(`SELECT Id, Name FROM ${ACCOUNT} ORDER BY CreatedDate DESC LIMIT 2 FOR VIEW`),
  'recent records': async () => {
    for (const one of await connection.recent(2)) assert.equal(typeof one.Id, 'string')
  },
  'recent records of an object': async () => {
    for (const one of await account.recent()) assert.equal(one.attributes.type, ACCOUNT)
  },
  'updated records': async () => {
    await account.update({ Id: changed, Name: 'Changed again' })
    const { ids, latestDateCovered } = await account.updated(...between())
    assert.ok(ids.includes(changed))
    assert.equal(typeof latestDateCovered, 'string')
  },
  'updated records, with times as texts': async () => {
    const { ids } = await account.updated(...between().map(String))
    assert.ok(ids.includes(changed))
  },
  'deleted records': async () => {
    await account.destroy(deleted)
    const { deletedRecords } = await account.deleted(...between())
    assert.ok(deletedRecords.some((one) => one.id === deleted))
  },
  'deleted records, with times as texts': async () => {
    const { deletedRecords } = await account.deleted(...between().map(String))
    assert.ok(deletedRecords.some((one) => one.id === deleted))
  },
  identity: async () => {
    const identity = await connection.identity()
    assert.ok(identity.id.endsWith(`/id/${identity.organization_id}/${identity.user_id}`))
    assert.equal(typeof identity.email, 'string')
    assert.equal(typeof identity.photos.picture, 'string')
    assert.equal(typeof identity.urls.rest, 'string')
  },
  'use of the API after each call': async () => {
    const { used, limit } = connection.limitInfo.apiUsage
    assert.ok(used > 0 && used <= limit)
  },
  limits: async () => {
    const limits = await connection.limits()
    for (const name of ['DataStorageMB', 'FileStorageMB', 'DailyApiRequests']) {
      assert.ok(limits[name].Remaining >= 0 && limits[name].Max > 0, name)
    }
  },
  versions: async () => {
    const versions = await connection.request('/services/data')
    assert.ok(versions.some((one) => one.version === '67.0'))
  },
  'list of resources': async () => {
    const resources = await connection.request('/')
    assert.ok(resources.sobjects.endsWith('/sobjects'))
  },
  'tooling query': async () => {
    const found = await connection.tooling.query('SELECT DeveloperName FROM CustomField')
    assert.ok(found.records.length > 0)
  },
  tabs: () => connection.tabs(),
  theme: () => connection.theme(),
})

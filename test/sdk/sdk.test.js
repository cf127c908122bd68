// OpenWhisk's own SDK against a running platform, unchanged. APIHOST and AUTH
// say where; the Go test beside this folder starts the platform.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const openwhisk = require('openwhisk')
const { ow, until } = require('./client')

for (const [where, suffix] of [['local', ''], ['outside', '@local']]) {
  test(`a Python action, ${where}`, async () => {
    const name = `py-${where}`
    const code = 'def main(args):\n    print("hello log")\n    return {"greeting": "Hello " + args.get("name", "you")}\n'
    const made = await ow.actions.update({ name, action: { exec: { kind: 'python:3', code, main: 'main' + suffix } } })
    assert.equal(made.name, name)
    assert.match(made.version, /^0\.0\.\d+$/)
    assert.equal(made.annotations.find(a => a.key === 'exec').value, 'python:3')

    const result = await ow.actions.invoke({ name, params: { name: 'Ada' }, blocking: true, result: true })
    assert.deepEqual(result, { greeting: 'Hello Ada' })

    const record = await ow.actions.invoke({ name, params: {}, blocking: true })
    assert.equal(record.response.status, 'success')
    assert.equal(record.response.success, true)
    assert.deepEqual(record.response.result, { greeting: 'Hello you' })
    assert.equal(record.logs.length, 1)
    assert.match(record.logs[0], /^\S+ stdout: hello log$/)

    const { activationId } = await ow.actions.invoke({ name, params: { name: 'Bob' } })
    const later = await until(() => ow.activations.get({ name: activationId }))
    assert.deepEqual(later.response.result, { greeting: 'Hello Bob' })
    assert.deepEqual((await ow.activations.result({ name: activationId })).result, { greeting: 'Hello Bob' })
    assert.equal((await ow.activations.logs({ name: activationId })).logs.length, 1)
  })
}

test('a Node.js action given as a zip', async () => {
  const action = Buffer.from(process.env.NODE_ZIP, 'base64')
  await ow.actions.update({ name: 'zip', action, kind: 'nodejs:default' })
  assert.deepEqual(await ow.actions.invoke({ name: 'zip', params: { a: 1 }, blocking: true, result: true }), { zipped: { a: 1 } })
})

test('actions: list, get, update, delete', async () => {
  const action = 'function main() { return {} }'
  await ow.actions.create({ name: 'crud', action, kind: 'nodejs:20', params: { a: 1 } })
  await assert.rejects(ow.actions.create({ name: 'crud', action, kind: 'nodejs:20' }), e => e.statusCode === 409)
  const again = await ow.actions.update({ name: 'crud', action, kind: 'nodejs:20' })
  assert.equal(again.version, '0.0.2')
  assert.ok((await ow.actions.list()).some(a => a.name === 'crud'))
  const got = await ow.actions.get({ name: 'crud' })
  assert.equal(got.exec.code, action)
  assert.equal(got.exec.kind, 'nodejs:20')
  await ow.actions.delete({ name: 'crud' })
  await assert.rejects(ow.actions.get({ name: 'crud' }), e => e.statusCode === 404)
})

test('errors are the platform’s', async () => {
  await ow.actions.update({ name: 'bad', action: 'function main() { return Promise.reject({ reason: "no" }) }', kind: 'nodejs:20' })
  await assert.rejects(ow.actions.invoke({ name: 'bad', blocking: true }), e => e.statusCode === 502)
  await assert.rejects(ow.actions.invoke({ name: 'nowhere', blocking: true }), e => e.statusCode === 404)
  const stranger = openwhisk({ apihost: process.env.APIHOST, api_key: 'aaaaaaaa-0000-0000-0000-000000000000:wrong' })
  await assert.rejects(stranger.actions.list(), e => e.statusCode === 401)
})

test('a trigger with a rule fires an action', async () => {
  const code = 'def main(args):\n    print("fired", args.get("what"), args.get("fixed"))\n    return args\n'
  await ow.actions.update({ name: 'fired', action: { exec: { kind: 'python:3', code, main: 'main@local' } } })
  await ow.triggers.create({ name: 'bell', trigger: { parameters: [{ key: 'fixed', value: 'yes' }] } })
  await ow.rules.create({ name: 'ring', trigger: 'bell', action: 'fired' })
  const { activationId } = await ow.triggers.invoke({ name: 'bell', params: { what: 'ding' } })
  assert.match(activationId, /^[0-9a-f]{32}$/)
  const record = await until(async () => {
    const [found] = await ow.activations.list({ name: 'fired', docs: true })
    return found && found.response ? found : Promise.reject(new Error('not yet'))
  })
  assert.equal(record.response.result.what, 'ding')
  assert.equal(record.response.result.fixed, 'yes')
  await ow.rules.disable({ name: 'ring' })
  assert.equal((await ow.rules.get({ name: 'ring' })).status, 'inactive')
  await ow.rules.delete({ name: 'ring' })
  await ow.triggers.delete({ name: 'bell' })
  assert.ok(!(await ow.rules.list()).some(r => r.name === 'ring'))
})

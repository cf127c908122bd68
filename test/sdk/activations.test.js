'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { ow, status, until, echo } = require('./client')

test('activations: list with name, limit, skip, since, upto, count, docs', async () => {
  await ow.packages.update({ name: 'listed' })
  await ow.actions.update({ name: 'listed/one', action: echo, kind: 'nodejs:20' })
  await ow.actions.update({ name: 'one', action: echo, kind: 'nodejs:20' })
  const ids = []
  for (let n = 0; n < 5; n++) {
    ids.push((await ow.actions.invoke({ name: 'listed/one', params: { n }, blocking: true })).activationId)
    await new Promise(resolve => setTimeout(resolve, 2)) // another millisecond
  }
  const other = (await ow.actions.invoke({ name: 'one', blocking: true })).activationId
  const list = options => ow.activations.list({ name: 'listed/one', ...options })
  const all = await list()
  assert.deepEqual(all.map(a => a.activationId), [...ids].reverse())
  assert.equal(all[0].logs, undefined)
  assert.deepEqual((await list({ limit: 2, skip: 1 })).map(a => a.activationId), [ids[3], ids[2]])
  assert.deepEqual(await list({ count: true }), { activations: 5 })
  assert.deepEqual((await list({ since: all[1].start })).map(a => a.activationId), [ids[4], ids[3]])
  assert.deepEqual((await list({ upto: all[3].start })).map(a => a.activationId), [ids[1], ids[0]])
  assert.deepEqual((await list({ docs: true, limit: 1 }))[0].response.result, { n: 4 })
  assert.deepEqual((await ow.activations.list({ name: 'one' })).map(a => a.activationId), [other])
  await assert.rejects(list({ limit: 201 }), status(400))
  await assert.rejects(list({ since: 'yesterday' }), status(400))
  await assert.rejects(list({ count: true, docs: true }), status(400))
})

test('activations: get, result, logs', async () => {
  const code = 'def main(args):\n    print("one")\n    return {"error": "no"}\n'
  await ow.actions.update({ name: 'failing', action: { exec: { kind: 'python:3', code } } })
  const { activationId } = await ow.actions.invoke({ name: 'failing' })
  const record = await until(() => ow.activations.get({ name: activationId }))
  assert.equal(record.response.status, 'application error')
  assert.equal(record.statusCode, 1)
  assert.equal(record.duration, record.end - record.start)
  for (const key of ['path', 'kind', 'limits', 'waitTime', 'initTime', 'timeout']) {
    assert.ok(record.annotations.some(a => a.key === key), key)
  }
  assert.deepEqual((await ow.activations.result({ name: activationId })).result, { error: 'no' })
  assert.match((await ow.activations.logs({ name: activationId })).logs[0], / stdout: one$/)
  await assert.rejects(ow.activations.get({ name: '0'.repeat(32) }), status(404, 'The requested resource does not exist.'))
  await assert.rejects(ow.activations.get({ name: 'short' }), status(400))
  await assert.rejects(ow.activations.logs({ name: '0'.repeat(32) }), status(404))
})

'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { ow, status, until, echo } = require('./client')

test('actions: limits, annotations, versions, code=false, count', async () => {
  const made = await ow.actions.create({
    name: 'limited', action: echo, kind: 'nodejs:default', limits: { timeout: 1000, memory: 128, logs: 1 }, annotations: { note: 'x' }, version: '1.2.3'
  })
  assert.deepEqual([made.limits.timeout, made.limits.memory, made.limits.logs, made.version], [1000, 128, 1, '1.2.3'])
  assert.equal(made.annotations.find(a => a.key === 'note').value, 'x')
  assert.equal((await ow.actions.get({ name: 'limited', code: false })).exec.code, undefined)
  const { actions } = await ow.actions.list({ count: true })
  assert.equal(actions, (await ow.actions.list({ limit: 200 })).length)
  assert.equal((await ow.actions.list({ limit: 1 })).length, 1)
  // Several at once, as the SDK offers it.
  const both = await ow.actions.get(['limited', { name: '/_/limited' }])
  assert.deepEqual(both.map(a => a.name), ['limited', 'limited'])
})

test('actions: bad ones', async () => {
  const put = (name, body) => ow.actions.create({ name, action: body })
  await assert.rejects(put('bad', { exec: { kind: 'cobol:1', code: 'x' } }), status(400, "kind 'cobol:1' not in Set("))
  await assert.rejects(put('bad', { exec: { kind: 'nodejs:20' } }), status(400, "'code' must be a string"))
  await assert.rejects(put('bad', {}), status(400, 'exec undefined'))
  await assert.rejects(put('bad', { exec: { kind: 'nodejs:20', code: echo }, limits: { timeout: 1 } }), status(400, 'timeout 1 milliseconds below allowed threshold of 100 milliseconds'))
  await assert.rejects(put('bad', { exec: { kind: 'nodejs:20', code: echo }, limits: { memory: 1 << 20 } }), status(400, 'exceeds allowed threshold'))
  await assert.rejects(put('a'.repeat(257), { exec: { kind: 'nodejs:20', code: echo } }), status(413))
  await assert.rejects(ow.actions.delete('nowhere'), status(404))
  await assert.rejects(ow.actions.invoke({ name: 'nowhere' }), status(404))
  await assert.rejects(ow.actions.get('/other/action'), status(403))
})

test('actions: what an invocation may answer', async () => {
  const code = `async function main({ how }) {
    if (how === 'application') return { error: 'mine' }
    if (how === 'throw') throw new Error('thrown')
    if (how === 'text') return 'text'
    if (how === 'slow') await new Promise(resolve => setTimeout(resolve, 5000))
    return { how }
  }`
  await ow.actions.update({ name: 'answers', action: code, kind: 'nodejs:20', limits: { timeout: 1000 } })
  const run = how => ow.actions.invoke({ name: 'answers', params: { how }, blocking: true })
  assert.deepEqual((await run('well')).response.result, { how: 'well' })
  const failing = async (how, kind, text) => assert.rejects(run(how), e => {
    assert.equal(e.statusCode, 502)
    assert.equal(e.error.response.status, kind)
    assert.match(JSON.stringify(e.error.response.result), text)
    return true
  })
  await failing('application', 'application error', /mine/)
  await failing('throw', 'application error', /thrown/)
  await failing('text', 'action developer error', /did not return a dictionary/)
  await failing('slow', 'action developer error', /exceeded its time limits of 1000 milliseconds/)
  const big = { name: 'answers', params: { how: 'x'.repeat(1 << 21) }, blocking: true }
  await assert.rejects(ow.actions.invoke(big), status(413))
})

test('actions: sequences', async () => {
  await ow.actions.update({ name: 'add', action: 'function main({ n }) { return n > 100 ? { error: "too much" } : { n: n + 1 } }', kind: 'nodejs:20' })
  const made = await ow.actions.update({ name: 'seq', sequence: ['/_/add', '/guest/add', '/_/add'] })
  assert.equal(made.exec.kind, 'sequence')
  assert.deepEqual(made.exec.components, ['/guest/add', '/guest/add', '/guest/add'])
  const done = await ow.actions.invoke({ name: 'seq', params: { n: 1 }, blocking: true })
  assert.deepEqual(done.response.result, { n: 4 })
  assert.equal(done.logs.length, 3)
  const part = await until(() => ow.activations.get(done.logs[1]))
  assert.equal(part.cause, done.activationId)
  assert.deepEqual(part.response.result, { n: 3 })
  await assert.rejects(ow.actions.invoke({ name: 'seq', params: { n: 101 }, blocking: true }), e => {
    assert.equal(e.statusCode, 502)
    assert.equal(e.error.logs.length, 1)
    assert.deepEqual(e.error.response.result, { error: 'too much' })
    return true
  })
  await assert.rejects(ow.actions.update({ name: 'seq', sequence: ['/_/seq'] }), status(400, 'Sequence may not refer to itself'))
  await assert.rejects(ow.actions.update({ name: 'seq2', sequence: ['/_/nowhere'] }), status(400, 'component does not exist'))
  await assert.rejects(ow.actions.update({ name: 'seq2', sequence: Array(51).fill('/_/add') }), status(400))
})

test('namespaces: list and get', async () => {
  assert.deepEqual(await ow.namespaces.list(), ['guest'])
  const all = await ow.namespaces.get()
  for (const collection of ['actions', 'packages', 'triggers', 'rules']) assert.ok(Array.isArray(all[collection]), collection)
  assert.ok(all.actions.some(a => a.name === 'seq'))
})

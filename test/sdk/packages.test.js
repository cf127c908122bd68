'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { ow, status, echo } = require('./client')

test('packages: create, get, list, update, delete', async () => {
  const made = await ow.packages.create({ name: 'tools', package: { parameters: [{ key: 'a', value: 1 }, { key: 'b', value: 2 }], publish: true } })
  assert.equal(made.version, '0.0.1')
  assert.equal(made.publish, true)
  await assert.rejects(ow.packages.create({ name: 'tools' }), status(409, 'resource already exists'))
  await ow.actions.create({ name: 'tools/echo', action: echo, kind: 'nodejs:20', params: { b: 3 } })

  const got = await ow.packages.get('tools')
  assert.deepEqual(got.actions.map(a => a.name), ['echo'])
  assert.deepEqual(got.parameters.map(p => p.key), ['a', 'b'])
  assert.deepEqual(got.binding, {})
  assert.ok((await ow.packages.list()).some(p => p.name === 'tools'))
  assert.deepEqual(await ow.packages.list({ count: true }), { packages: (await ow.packages.list()).length })
  assert.equal((await ow.packages.list({ limit: 1 })).length, 1)
  assert.ok((await ow.actions.list()).some(a => a.name === 'echo' && a.namespace === 'guest/tools'))

  // The package's parameters, overridden by the action's, overridden by the request's.
  const run = params => ow.actions.invoke({ name: 'tools/echo', params, blocking: true, result: true })
  assert.deepEqual(await run({}), { a: 1, b: 3 })
  assert.deepEqual(await run({ a: 9 }), { a: 9, b: 3 })

  const updated = await ow.packages.update({ name: 'tools', package: { parameters: [{ key: 'a', value: 5 }] } })
  assert.equal(updated.version, '0.0.2')
  assert.deepEqual(await run({}), { a: 5, b: 3 })

  await assert.rejects(ow.packages.delete('tools'), status(409, 'Package not empty (contains 1 entity)'))
  await ow.actions.delete('tools/echo')
  await ow.packages.delete('tools')
  await assert.rejects(ow.packages.get('tools'), status(404, 'The requested resource does not exist.'))
})

test('packages: bindings', async () => {
  await ow.packages.create({ name: 'base', package: { parameters: [{ key: 'a', value: 'base' }, { key: 'b', value: 'base' }] } })
  await ow.actions.create({ name: 'base/echo', action: echo, kind: 'nodejs:20' })
  const bound = await ow.packages.create({ name: 'bound', package: { binding: { namespace: '_', name: 'base' }, parameters: [{ key: 'b', value: 'bound' }] } })
  assert.deepEqual(bound.binding, { namespace: 'guest', name: 'base' })

  assert.deepEqual((await ow.packages.get('bound')).actions.map(a => a.name), ['echo'])
  assert.deepEqual(await ow.actions.invoke({ name: 'bound/echo', blocking: true, result: true }), { a: 'base', b: 'bound' })
  assert.equal((await ow.actions.get('bound/echo')).exec.kind, 'nodejs:20')

  await assert.rejects(ow.packages.create({ name: 'twice', package: { binding: { namespace: '_', name: 'bound' } } }), status(400, 'Cannot bind to another package binding.'))
  await assert.rejects(ow.packages.create({ name: 'nothing', package: { binding: { namespace: '_', name: 'nowhere' } } }), status(400, 'Binding references a package that does not exist.'))
  await assert.rejects(ow.actions.create({ name: 'bound/mine', action: echo, kind: 'nodejs:20' }), status(400, 'Operation not permitted on package binding.'))

  await ow.packages.delete('bound')
  await ow.actions.delete('base/echo')
  await ow.packages.delete('base')
})

test('packages: bad ones', async () => {
  await assert.rejects(ow.packages.create({ name: 'default' }), status(400, "Package name 'default' is reserved."))
  await assert.rejects(ow.packages.create({ name: 'no/slash' }), status(404))
  await assert.rejects(ow.packages.create({ name: 'bad$' }), status(400))
  await assert.rejects(ow.packages.create({ name: 'x', package: { parameters: 'none' } }), status(400, 'The request content was malformed'))
  await assert.rejects(ow.packages.get('nowhere'), status(404))
  await assert.rejects(ow.packages.delete('nowhere'), status(404))
  await assert.rejects(ow.actions.create({ name: 'nowhere/a', action: echo, kind: 'nodejs:20' }), status(404))
  await assert.rejects(ow.packages.list({ limit: 201 }), status(400))
  await assert.rejects(ow.packages.list({ skip: -1 }), status(400))
})

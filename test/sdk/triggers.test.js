'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { ow, status, until, echo } = require('./client')

test('triggers: create, get, list, update, fire, delete', async () => {
  const made = await ow.triggers.create({ name: 'bell2', trigger: { parameters: [{ key: 'fixed', value: 1 }], annotations: [{ key: 'note', value: 'n' }] } })
  assert.equal(made.version, '0.0.1')
  await assert.rejects(ow.triggers.create({ name: 'bell2' }), status(409, 'resource already exists'))
  const updated = await ow.triggers.update({ name: 'bell2', trigger: { parameters: [{ key: 'fixed', value: 2 }] } })
  assert.equal(updated.version, '0.0.2')
  assert.deepEqual((await ow.triggers.get('bell2')).parameters, [{ key: 'fixed', value: 2 }])
  assert.ok((await ow.triggers.list()).some(t => t.name === 'bell2'))
  assert.equal((await ow.triggers.list({ count: true })).triggers, (await ow.triggers.list()).length)

  // Without an active rule nothing happens, and there is nothing to tell.
  const fired = await ow.triggers.invoke({ name: 'bell2', params: {} })
  assert.equal(fired.activationId, undefined)
  await ow.triggers.delete('bell2')
  await assert.rejects(ow.triggers.invoke({ name: 'bell2' }), status(404))
})

test('triggers: bad ones', async () => {
  await assert.rejects(ow.triggers.create({ name: 'bad/name' }), status(404))
  await assert.rejects(ow.triggers.get('nowhere'), status(404, 'The requested resource does not exist.'))
  await assert.rejects(ow.triggers.delete('nowhere'), status(404))
  await ow.actions.update({ name: 'notrigger', action: echo, kind: 'nodejs:20' })
  await assert.rejects(ow.triggers.get('notrigger'), status(409, 'Resource by this name exists but is not in this collection.'))
})

test('rules: create, get, list, update, enable, disable, delete', async () => {
  await ow.actions.update({ name: 'ruled', action: echo, kind: 'nodejs:20' })
  await ow.actions.update({ name: 'ruled2', action: echo, kind: 'nodejs:20' })
  await ow.triggers.update({ name: 'bell3' })
  const made = await ow.rules.create({ name: 'rule3', trigger: 'bell3', action: 'ruled' })
  assert.equal(made.status, 'active')
  assert.deepEqual(made.trigger, { path: 'guest', name: 'bell3' })
  assert.deepEqual(made.action, { path: 'guest', name: 'ruled' })
  assert.ok((await ow.triggers.get('bell3')).rules['guest/rule3'])
  await assert.rejects(ow.rules.create({ name: 'rule3', trigger: 'bell3', action: 'ruled' }), status(409))
  assert.equal((await ow.rules.update({ name: 'rule3', trigger: 'bell3', action: 'ruled2' })).version, '0.0.2')

  await ow.rules.disable({ name: 'rule3' })
  assert.equal((await ow.rules.get('rule3')).status, 'inactive')
  assert.equal((await ow.triggers.invoke({ name: 'bell3' })).activationId, undefined)
  await ow.rules.enable({ name: 'rule3' })
  const { activationId } = await ow.triggers.invoke({ name: 'bell3', params: { x: 1 } })
  const firing = await until(() => ow.activations.get(activationId))
  const line = JSON.parse(firing.logs[0])
  assert.deepEqual([line.rule, line.action, line.success], ['guest/rule3', 'guest/ruled2', true])
  const run = await until(() => ow.activations.get(line.activationId))
  assert.equal(run.cause, activationId)
  assert.deepEqual(run.response.result, { x: 1 })

  // A trigger that goes leaves its rule behind, inactive.
  await ow.triggers.delete('bell3')
  assert.equal((await ow.rules.get('rule3')).status, 'inactive')
  await assert.rejects(ow.rules.enable({ name: 'rule3' }), status(404, 'Only rules with existing triggers can be activated'))
  await ow.rules.delete('rule3')
  await assert.rejects(ow.rules.get('rule3'), status(404))
})

test('rules: bad ones', async () => {
  await ow.triggers.update({ name: 'bell4' })
  await assert.rejects(ow.rules.create({ name: 'r', trigger: 'bell4', action: 'nowhere' }), status(400))
  await assert.rejects(ow.rules.create({ name: 'r', trigger: 'nowhere', action: 'ruled' }), status(400))
  await assert.rejects(ow.rules.delete('nowhere'), status(404))
  await assert.rejects(ow.rules.enable({ name: 'nowhere' }), status(404))
})

test('feeds: create, get, update, delete', async () => {
  await ow.triggers.update({ name: 'tick' })
  const feed = { name: '/whisk.system/alarms/alarm', trigger: 'tick' }
  const made = await ow.feeds.create({ ...feed, params: { cron: '0 0 1 1 *', trigger_payload: { n: 1 } } })
  assert.deepEqual(made.response.result, { status: 'success' })
  const read = await ow.feeds.get(feed)
  assert.equal(read.response.result.config.cron, '0 0 1 1 *')
  assert.deepEqual(read.response.result.config.payload, { n: 1 })
  assert.equal(read.response.result.status.active, true)
  await ow.feeds.update({ ...feed, params: { timezone: 'Europe/Rome' } })
  assert.equal((await ow.feeds.get(feed)).response.result.config.timezone, 'Europe/Rome')
  await ow.feeds.delete(feed)
  await assert.rejects(ow.feeds.get(feed), status(502, 'could not find the trigger /guest/tick'))
})

test('feeds: an interval fires its trigger', async () => {
  await ow.actions.update({ name: 'ticked', action: echo, kind: 'nodejs:20' })
  await ow.triggers.update({ name: 'soon' })
  await ow.rules.update({ name: 'on-soon', trigger: 'soon', action: 'ticked' })
  const feed = { name: '/whisk.system/alarms/interval', trigger: 'soon' }
  await ow.feeds.create({ ...feed, params: { minutes: 5, startDate: Date.now() + 300, trigger_payload: { what: 'tea' } } })
  const run = await until(async () => {
    const [found] = await ow.activations.list({ name: 'ticked', docs: true })
    return found || Promise.reject(new Error('not yet'))
  })
  assert.deepEqual(run.response.result, { what: 'tea' })
  await ow.feeds.delete(feed)
})

test('feeds: bad ones', async () => {
  const feed = { name: '/whisk.system/alarms/alarm', trigger: 'tick' }
  await assert.rejects(ow.feeds.create({ ...feed, params: {} }), status(502, 'alarms trigger feed is missing the cron parameter'))
  await assert.rejects(ow.feeds.create({ ...feed, params: { cron: 'never' } }), status(502, "cron pattern 'never' is not valid"))
  await assert.rejects(ow.feeds.create({ ...feed, name: '/whisk.system/alarms/nothing', params: {} }), status(404))
  await assert.rejects(ow.feeds.create({ ...feed, trigger: 'nowhere', params: { cron: '* * * * *' } }), status(502, 'Trigger authentication request failed'))
})

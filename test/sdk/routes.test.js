// OpenWhisk's own SDK makes, lists and removes API routes, and the routes answer. The Go test beside
// this folder starts the platform.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const openwhisk = require('openwhisk')

const { APIHOST: apihost, AUTH: key } = process.env
const ow = openwhisk({ apihost, api_key: key })
// With a gateway's token the SDK sends the space, too, as it does for IBM's.
const withToken = openwhisk({ apihost, api_key: key, apigw_token: 'a token' })

const annotations = { 'web-export': true }

test('make what the routes call', async () => {
  const action = 'function main(args) { return { statusCode: 200, body: { id: args.id, q: args.q, how: args.__ow_method, path: args.__ow_path } } }'
  await ow.actions.update({ name: 'shop', action, kind: 'nodejs:20', annotations })
  await ow.actions.update({ name: 'hidden', action, kind: 'nodejs:20' })
  await ow.actions.update({ name: 'guarded', action, kind: 'nodejs:20', annotations: { ...annotations, 'require-whisk-auth': 'open sesame' } })
})

test('routes: create, call, list, get, delete', async () => {
  const made = await ow.routes.create({ relpath: '/items/{id}', operation: 'GET', action: 'shop', basepath: '/shop', responsetype: 'http', name: 'The shop' })
  assert.equal(made.gwApiUrl, `${apihost}/api/guest/shop`)
  assert.equal(made.gwApiActivated, true)
  assert.equal(made.apidoc.info.title, 'The shop')
  assert.equal(made.apidoc.paths['/items/{id}'].get['x-openwhisk'].action, 'shop')
  assert.equal(made.apidoc.paths['/items/{id}'].get.parameters[0].name, 'id')

  const answer = await fetch(`${made.gwApiUrl}/items/7?q=x`)
  assert.equal(answer.status, 200)
  assert.deepEqual(await answer.json(), { id: '7', q: 'x', how: 'get', path: '/shop/items/7' })

  await withToken.routes.create({ relpath: '/items', operation: 'POST', action: '/guest/shop', basepath: '/shop' })
  const plain = await fetch(`${made.gwApiUrl}/items`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"q":1}' })
  assert.deepEqual(await plain.json(), { statusCode: 200, body: { q: 1, how: 'post', path: '' } }) // the response type is json

  const { apis } = await ow.routes.list()
  assert.equal(apis.length, 1)
  assert.deepEqual(Object.keys(apis[0].value.apidoc.paths), ['/items', '/items/{id}'])
  assert.equal((await withToken.routes.get({ basepath: '/shop' })).apis.length, 1)
  assert.equal((await ow.routes.get({ name: 'The shop' })).apis[0].value.apidoc.basePath, '/shop')
  assert.equal((await ow.routes.list({ basepath: '/other' })).apis.length, 0)
  const some = await ow.routes.list({ basepath: '/shop', relpath: '/items', operation: 'POST' })
  assert.deepEqual(Object.keys(some.apis[0].value.apidoc.paths), ['/items'])

  await ow.routes.delete({ basepath: '/shop', relpath: '/items', operation: 'POST' })
  assert.equal((await fetch(`${made.gwApiUrl}/items`, { method: 'POST' })).status, 404)
  await ow.routes.delete({ basepath: '/shop' })
  assert.deepEqual(await ow.routes.list(), { apis: [] })
  assert.equal((await fetch(`${made.gwApiUrl}/items/7`)).status, 404)
})

test('routes from a swagger document, and with a secret', async () => {
  const swagger = {
    swagger: '2.0', basePath: '/doc', info: { title: 'doc', version: '1.0.0' },
    paths: { '/a': { get: { 'x-openwhisk': { namespace: 'guest', package: 'default', action: 'shop', url: `${apihost}/api/v1/web/guest/default/shop.http` } } } }
  }
  const made = await ow.routes.create({ swagger })
  assert.equal((await fetch(`${made.gwApiUrl}/a`)).status, 200)
  const secret = await ow.routes.create({ relpath: '/b', operation: 'get', action: 'guarded', basepath: '/doc', responsetype: 'http', secure_key: 'open sesame' })
  assert.equal((await fetch(`${secret.gwApiUrl}/b`)).status, 200)
  assert.equal((await fetch(`${apihost}/api/v1/web/guest/default/guarded`)).status, 401)
  await ow.routes.delete({ name: 'doc' })
})

test('what is wrong with a route is said', async () => {
  const refused = (promise, statusCode, text) => assert.rejects(promise, e => e.statusCode === statusCode && text.test(e.message))
  await refused(ow.routes.create({ relpath: '/x', operation: 'GET', action: 'hidden' }), 502, /not a web action/)
  await refused(ow.routes.create({ relpath: '/x', operation: 'GET', action: 'nobody' }), 502, /does not exist, or is not a web action/)
  await refused(ow.routes.create({ relpath: '/x', operation: 'FETCH', action: 'shop' }), 502, /not a valid API verb/)
  await refused(ow.routes.delete({ basepath: '/nobody' }), 502, /API '\/nobody' does not exist/)
  const stranger = openwhisk({ apihost, api_key: 'aaaaaaaa-0000-0000-0000-000000000000:wrong' })
  await refused(stranger.routes.list(), 401, /Authentication is possible/)
})

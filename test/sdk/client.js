// What the tests share: the client, and a way to wait for what comes later.
'use strict'
const openwhisk = require('openwhisk')

exports.ow = openwhisk({ apihost: process.env.APIHOST, api_key: process.env.AUTH })

// until asks again while it fails: a record is not written yet, an alarm has not fired.
exports.until = async function until (ask) {
  for (const end = Date.now() + 60000; ;) {
    try { return await ask() } catch (e) { if (Date.now() > end) throw e }
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

// status is what assert.rejects wants of an error: its status, and words in its message.
exports.status = (code, words = '') => e => {
  if (e.statusCode !== code || !e.message.includes(words)) throw new Error(`not ${code} "${words}": ${e.statusCode} ${e.message}`)
  return true
}

exports.echo = 'function main(args) { return args }'

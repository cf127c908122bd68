// Runs one JavaScript function for Whiskaway. See worker/protocol.md.
//
//     node launcher.mjs text|package FILE NAME
//
// loads FILE, then calls its function NAME for each run that arrives on stdin,
// and answers on file descriptor 3. Under OpenWhisk's own action proxy, which says
// nothing of WHISKAWAY_CONCURRENCY, runs and answers are plain lines.

import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import v8 from 'node:v8'
import vm from 'node:vm'

const RUN = 3, CANCEL = 0, HOLD = 1, GO_ON = 2 // to us
const END = 0, STDOUT = 1, STDERR = 2, RESULT = 3 // from us
const HEADER = 12 // stream, three zeros, length, run
const OUT = 3
const LOG_FRAME = 1 << 20 // the most bytes of logs in one frame
const EMPTY = Buffer.alloc(0)

async function main () {
  const [form, file, name] = process.argv.splice(2)
  process.argv[1] = file
  const concurrency = Number(process.env.WHISKAWAY_CONCURRENCY ?? 0)
  delete process.env.WHISKAWAY_CONCURRENCY
  // The function's own stdin is empty; the real one is ours.
  Object.defineProperty(process, 'stdin', { get: () => Readable.from([]) })
  // Otherwise what does not fit into a pipe would be written after the run's end.
  for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true)
  Object.defineProperty(process, 'whiskaway', { value: { get signal () { return currentRun()?.signal } } })
  process.on('SIGINT', () => onInterrupt()) // that of a run which ends by itself; it must not end us
  let func
  let doing = ''
  try {
    const loaded = await load(form, file, name)
    func = find(loaded, name)
    doing = 'setup: '
    await setUp(loaded, name)
  } catch (e) {
    printError(e)
    writeOut(Buffer.from(toJSON({ ok: false, error: doing + describe(e) }) + '\n'))
    process.exit(1)
  }
  if (concurrency === 0) return serveLines(func)
  writeOut(Buffer.from(`{"ok":true,"whiskaway":1,"concurrency":${concurrency}}\n`))
  serve(concurrency > 1 ? overlapping(func) : oneByOne(func))
}

// Loading

class Missing extends Error {}

async function load (form, file, name) {
  if (form === 'package') return import(pathToFileURL(file))
  const text = fs.readFileSync(file, 'utf8')
  try {
    return compile(text, file, name)
  } catch (e) {
    if (!isModuleSyntax(e)) throw e
    return import(pathToFileURL(file.replace(/\.cjs$/, '.mjs')))
  }
}

// compile loads text as a CommonJS module, whose function needs no export.
function compile (text, file, name) {
  const found = [name, 'setup'].filter(n => /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(n))
    .map(n => `\n;module.found.${n} = typeof ${n} === 'undefined' ? undefined : ${n}`).join('')
  const parameters = ['exports', 'require', 'module', '__filename', '__dirname']
  const options = { filename: file, importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER }
  vm.compileFunction(text, parameters, options) // so that a syntax error shows the function's own lines
  const run = vm.compileFunction(text + found, parameters, options)
  const module = { exports: {}, filename: file, found: {} }
  run.call(module.exports, module.exports, createRequire(file), module, file, path.dirname(file))
  return { default: module.exports, ...module.found }
}

function isModuleSyntax (e) {
  return e instanceof SyntaxError &&
    /import statement outside a module|Unexpected token 'export'|import\.meta|await is only valid|Cannot use 'import/.test(e.message)
}

function find (loaded, name) {
  const candidates = [loaded[name], loaded.default?.[name], name === 'main' ? loaded.default : undefined]
  const func = candidates.find(f => typeof f === 'function')
  if (func) return func
  const names = new Set([...Object.keys(loaded), ...Object.keys(loaded.default ?? {})])
  const callable = [...names].filter(n => typeof (loaded[n] ?? loaded.default?.[n]) === 'function')
  throw new Missing(`The action does not have a function named '${name}'; it exports ${callable.join(', ') || 'none'}. Define it, or name another one as main.`)
}

// setUp calls the function's setup(), if it has one that is meant for us: a
// helper of its own that is called so needs arguments.
async function setUp (loaded, name) {
  const setup = [loaded.setup, loaded.default?.setup].find(f => typeof f === 'function')
  if (setup?.length === 0 && name !== 'setup') await setup()
}

// Frames

// serve cuts the input into frames. What arrives is kept in pieces until a
// frame is whole, so that a large one is joined only once.
function serve ({ start, cancel, hold }) {
  let pieces = [], have = 0, need = HEADER
  const input = new net.Socket({ fd: 0, readable: true, writable: false })
  input.on('end', () => process.exit(0)) // the server is gone
  input.on('error', () => process.exit(0))
  input.on('data', chunk => {
    pieces.push(chunk)
    have += chunk.length
    while (have >= need) {
      let data = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
      need = HEADER
      while (data.length >= HEADER) {
        const end = HEADER + data.readUInt32BE(4)
        if (data.length < end) {
          need = end
          break
        }
        const run = data.readUInt32BE(8)
        if (data[0] === RUN) start(run, data.toString('utf8', HEADER, end))
        else if (data[0] === CANCEL) cancel(run)
        else if (data[0] === HOLD || data[0] === GO_ON) hold(run, data[0] === HOLD)
        data = data.subarray(end)
      }
      pieces = data.length ? [data] : []
      have = data.length
    }
  })
}

// writeFrame writes a frame of a run, and its end frame where there is one, with a single call.
function writeFrame (stream, run, text, end) {
  const size = Buffer.byteLength(text)
  const endSize = end === undefined ? 0 : HEADER + end.length
  const data = Buffer.allocUnsafe(HEADER + size + endSize)
  putHeader(data, 0, stream, run, size)
  if (typeof text === 'string') data.write(text, HEADER)
  else data.set(text, HEADER)
  if (end !== undefined) {
    putHeader(data, HEADER + size, END, run, end.length)
    data.set(end, HEADER + size + HEADER)
  }
  writeAll(data)
}

function writeLog (stream, run, text) {
  if (text.length < LOG_FRAME / 4) return writeFrame(stream, run, text) // a character has up to 3 bytes in UTF-8
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += LOG_FRAME) writeFrame(stream, run, bytes.subarray(at, at + LOG_FRAME))
}

function putHeader (data, at, stream, run, size) {
  data.writeUInt32BE(stream << 24 >>> 0, at)
  data.writeUInt32BE(size, at + 4)
  data.writeUInt32BE(run, at + 8)
}

function writeOut (data) {
  for (let at = 0; at < data.length;) at += fs.writeSync(OUT, data, at)
}

let writeAll = writeOut // takes frames

// Interrupts. A run that shall end has its signal aborted.

let currentRun = () => undefined
let onInterrupt = () => {}

class Run {
  #controller
  constructor (id) {
    this.id = id
    this.cancelled = false
    this.held = false // no further item is wanted now
    this.wake = () => {} // ends a wait for that
    this.close = () => {} // ends the stream, if there is one
  }

  get signal () {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.cancelled) this.cancel()
    }
    return this.#controller.signal
  }

  cancel () {
    this.cancelled = true
    this.#controller?.abort(new Error('the run was cut: it was over its time limit, or its caller has left'))
    this.close()
    this.wake()
  }

  hold (held) {
    this.held = held
    this.wake()
  }

  // turn lets what has arrived be read, also behind a generator that never
  // waits, and returns when the next item is wanted.
  async turn () {
    await nextTurn()
    while (this.held && !this.cancelled) await new Promise(resolve => { this.wake = resolve })
  }
}

// One run

// handle calls the function and writes its answer.
async function handle (run, fields, func) {
  let text
  try {
    const value = fields.value ?? {}
    let result = func(value)
    if (typeof result?.then === 'function') result = await result
    if (isIterator(result)) return await sendItems(run, result)
    text = answer(result)
  } catch (e) {
    text = failure(e)
  }
  flush(run.id)
  writeFrame(RESULT, run.id, text, EMPTY)
}

function answer (result) {
  return toJSON(result === undefined ? {} : result) ?? 'null' // a function, say, has no JSON
}

// failure prints what was thrown, and returns the result that tells it. What
// is not an Error is the function's own error object, as OpenWhisk has it.
function failure (e) {
  printError(e)
  try {
    return toJSON({ error: e instanceof Error || e === undefined ? describe(e) : e })
  } catch {
    return toJSON({ error: describe(e) })
  }
}

function isIterator (result) {
  return result !== null && typeof result === 'object' &&
    (typeof result[Symbol.asyncIterator] === 'function' ||
      (typeof result[Symbol.iterator] === 'function' && typeof result.next === 'function'))
}

const streamEnd = Buffer.from('{"stream":true}')

// sendItems writes each item as it comes. What is thrown becomes the last item.
async function sendItems (run, result) {
  let last
  try {
    last = await writeItems(run, result[Symbol.asyncIterator]?.() ?? result[Symbol.iterator]())
  } catch (e) {
    last = failure(e)
  }
  flush(run.id)
  if (last !== undefined) return writeFrame(RESULT, run.id, last, streamEnd)
  const end = Buffer.alloc(HEADER + streamEnd.length)
  putHeader(end, 0, END, run.id, streamEnd.length)
  end.set(streamEnd, HEADER)
  writeAll(end)
}

// writeItems writes the items until there is none, or the run is cut. What a
// generator returns is left for the caller to write, as the last item.
async function writeItems (run, items) {
  let closed
  run.close = AsyncResource.bind(() => { closed ??= closeItems(items) }) // its logs are the run's
  while (!run.cancelled) {
    const { done, value } = await items.next()
    if (done) return value === undefined || value === null ? undefined : toJSON({ result: value })
    try {
      const text = toJSON(await value) ?? 'null'
      flush(run.id)
      if (!run.cancelled) writeFrame(RESULT, run.id, text)
      await run.turn()
    } catch (e) {
      run.close()
      await closed
      throw e
    }
  }
  run.close()
  await closed
}

// closeItems makes a generator run its finally.
async function closeItems (items) {
  try {
    await items.return?.()
  } catch (e) {
    printError(e)
  }
}

function describe (e) {
  if (e instanceof Missing) return e.message
  return e instanceof Error ? String(e) : `An error has occurred: ${String(e)}`
}

// printError prints a stack without our own frames.
function printError (e) {
  if (e instanceof Missing || typeof e?.stack !== 'string') {
    console.error(e instanceof Missing ? e.message : e)
    return
  }
  const ours = line => line.includes(import.meta.url) || /^ +at .*node:/.test(line)
  console.error(e.stack.split('\n').filter(line => !ours(line)).join('\n'))
}

// JSON. A Number cannot hold integers beyond 2^53, so those arrive as BigInt,
// and a BigInt leaves as the integer that it is, whoever calls JSON.stringify.

v8.setFlagsFromString('--harmony-json-parse-with-source') // on by itself from Node.js 21 on
const { rawJSON } = vm.runInNewContext('JSON')
const mark = `bigint ${Math.random()} `
const marked = new RegExp(`"${mark}(-?\\d+)"`, 'g')
Object.defineProperty(BigInt.prototype, 'toJSON', { // eslint-disable-line no-extend-native
  value () { return rawJSON ? rawJSON(String(this)) : mark + this },
  configurable: true,
  writable: true
})

function toJSON (value) {
  const text = JSON.stringify(value)
  return rawJSON ? text : text?.replace(marked, '$1')
}

const manyDigits = /\d{16}/
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g

function parse (text) {
  if (!manyDigits.test(text)) return JSON.parse(text)
  let found = false
  const safe = text.replace(stringOrNumber, token => {
    if (token[0] === '"' || /[.eE]/.test(token) || Number.isSafeInteger(Number(token))) return token
    found = true
    return `"${mark}${token}"`
  })
  if (!found) return JSON.parse(text)
  return JSON.parse(safe, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value)
}

// fieldsOf parses a run's body, or answers that it cannot be parsed.
function fieldsOf (run, body) {
  try {
    const fields = parse(body)
    if (fields?.constructor === Object) return fields
    throw new TypeError("the run's body is JSON, but not an object with the input as its value")
  } catch (e) {
    writeFrame(RESULT, run, failure(e), EMPTY)
  }
}

// variables are the fields of a run's body as environment variables.
function variables (fields) {
  const vars = {}
  for (const name in fields) {
    if (name === 'value') continue
    const value = fields[name]
    vars['__OW_' + name.toUpperCase()] = typeof value === 'string' ? value : toJSON(value)
  }
  return vars
}

// One run at a time. Output goes straight to the pipes, whose writes main made
// synchronous.

let flush = () => {}

function oneByOne (func) {
  let current = {}
  const setFields = fields => {
    const next = variables(fields)
    for (const name in current) if (!(name in next)) delete process.env[name]
    for (const name in next) if (current[name] !== next[name]) process.env[name] = next[name]
    current = next
  }
  let active = new Run(0)
  currentRun = () => active
  const begin = (run, body) => {
    active = run
    const fields = fieldsOf(run.id, body)
    if (!fields) return
    setFields(fields)
    handle(run, fields, func)
  }
  return afterInterrupts(begin, () => active)
}

// afterInterrupts begins a run when the SIGINT that follows an earlier one's cancel
// frame has come, so that it cannot hit what the next one started.
function afterInterrupts (begin, active) {
  let owed = 0 // how many are still to come
  let early = 0 // how many came before their frame
  let held = null
  const beginHeld = () => {
    const h = held
    held = null
    owed = early = 0
    if (h) begin(...h)
  }
  onInterrupt = () => {
    if (owed === 0) early = 1
    else if (--owed === 0) beginHeld()
  }
  return {
    start (id, body) {
      if (owed === 0) {
        early = 0
        return begin(new Run(id), body)
      }
      held = [new Run(id), body]
      const waiting = held
      setTimeout(() => { if (held === waiting) beginHeld() }, 1000)
    },
    cancel (id) {
      if (early) early = 0
      else owed++
      for (const run of [active(), held?.[0]]) if (run?.id === id) run.cancel()
    }
  }
}

// Runs that overlap. Each has a context of its own, which its promises and
// timers keep; output and variables are found by it.

function overlapping (func) {
  const context = new AsyncLocalStorage()
  const streams = [tag(process.stdout, STDOUT, context), tag(process.stderr, STDERR, context)]
  flush = run => streams.forEach(s => s.flush(run))
  process.env = new Proxy(process.env, {
    get: (env, name) => context.getStore()?.vars[name] ?? env[name],
    has: (env, name) => name in (context.getStore()?.vars ?? {}) || name in env,
    ownKeys: env => [...new Set([...Reflect.ownKeys(env), ...Object.keys(context.getStore()?.vars ?? {})])],
    getOwnPropertyDescriptor: (env, name) => {
      const value = context.getStore()?.vars[name] ?? env[name]
      return value === undefined ? undefined : { value, enumerable: true, configurable: true, writable: true }
    }
  })
  const active = new Map()
  currentRun = () => context.getStore()?.run
  const begin = async (run, fields) => {
    active.set(run.id, run)
    await handle(run, fields, func)
    active.delete(run.id)
  }
  return {
    start (id, body) {
      const run = new Run(id)
      const fields = fieldsOf(id, body)
      if (fields) context.run({ run, vars: variables(fields) }, begin, run, fields)
    },
    cancel (id) { active.get(id)?.cancel() },
    hold (id, held) { active.get(id)?.hold(held) }
  }
}

// tag makes a stream's whole lines carry the run that wrote them.
function tag (plain, stream, context) {
  const pending = new Map()
  const original = plain.write.bind(plain)
  plain.write = (chunk, encoding, done) => {
    const run = context.getStore()?.run.id
    if (run === undefined) return original(chunk, encoding, done)
    const text = (pending.get(run) ?? '') + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())
    const cut = text.lastIndexOf('\n') + 1
    if (cut) writeLog(stream, run, text.slice(0, cut))
    pending.set(run, text.slice(cut))
    const callback = typeof encoding === 'function' ? encoding : done
    if (callback) process.nextTick(callback)
    return true
  }
  return {
    flush (run) {
      const rest = pending.get(run)
      pending.delete(run)
      if (rest) writeLog(stream, run, rest)
    }
  }
}

// A plain ActionLoop: a run is a line, and so is its answer. Each is answered
// before the next begins.

async function serveLines (func) {
  let items = []
  let answered
  writeAll = data => {
    for (let at = 0; at < data.length;) {
      const end = at + HEADER + data.readUInt32BE(at + 4)
      const payload = data.toString('utf8', at + HEADER, end)
      if (data[at] === RESULT) items.push(payload)
      if (data[at] === END) {
        writeOut(Buffer.from((payload ? collect(items) : items[0]) + '\n'))
        items = []
        answered()
      }
      at = end
    }
  }
  if (process.env.__OW_WAIT_FOR_ACK) writeOut(Buffer.from('{"ok":true}\n'))
  const { start } = oneByOne(func)
  const input = new net.Socket({ fd: 0, readable: true, writable: false })
  let id = 0
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    await new Promise(resolve => {
      answered = resolve
      start(++id, line)
    })
  }
  process.exit(0)
}

// collect returns the one object that a stream comes to. See stream/doc.go.
function collect (items) {
  const last = items.at(-1)
  const fields = last?.[0] === '{' ? JSON.parse(last) : {}
  if (Object.keys(fields).length === 1) {
    if ('error' in fields) return last
    if (typeof fields.result === 'object' && fields.result !== null) return last.slice('{"result":'.length, -1)
  }
  return `{"items":[${items.join(',')}]}`
}

main()

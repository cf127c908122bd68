// Does what the suite asks for. all.py and native/main.go do the same.

const childProcess = require('child_process')
const fs = require('fs')
const path = require('path')

let runs = 0

function main (args) {
  runs++
  if (Array.isArray(args) || !args.do) return { got: args }
  return does[args.do](args)
}

const does = {
  echo: args => args,
  async answer (args) {
    console.log('log of', args.id)
    await new Promise(resolve => setImmediate(resolve)) // so that others come between
    return { id: args.id, activation: process.env.__OW_ACTIVATION_ID }
  },
  give: args => args.give,
  nothing () {},
  count: () => ({ runs }),
  env () {
    fs.writeFileSync(path.join(process.env.TMPDIR, 'probe'), 'written')
    return { env: process.env, cwd: process.cwd(), home: fs.existsSync(path.join(process.cwd(), 'index.cjs')) }
  },
  async stdin () {
    let text = ''
    for await (const chunk of process.stdin) text += chunk
    return { stdin: text }
  },
  measure: args => ({ got: args.text.length, text: 'y'.repeat(args.want) }),
  fail (args) {
    console.log('about to fail')
    throw new TypeError(args.why)
  },
  say (args) {
    for (const s of args.say) {
      const stream = s.to === 1 ? process.stdout : process.stderr
      stream.write(s.bytes ? Buffer.from(s.bytes, 'base64') : s.text)
    }
    return { said: args.say.length }
  },
  flood (args) {
    for (let i = 0; i < args.lines; i++) console.log(String(i).padStart(7, '0') + 'x'.repeat(92))
    return { lines: args.lines }
  },
  child () {
    console.log('before')
    childProcess.execFileSync('sh', ['-c', "echo child; echo child error >&2"], { stdio: 'inherit' })
    console.log('after')
    return { child: true }
  },
  late (args) {
    const timer = setInterval(() => {
      if (!fs.existsSync(args.file)) return
      console.log('late')
      fs.unlinkSync(args.file)
      clearInterval(timer)
    }, 1)
    return { late: true }
  },
  exit (args) {
    console.log('last words')
    process.exit(args.code)
  },
  signal (args) {
    console.log('last words')
    process.kill(process.pid, args.signal)
    return new Promise(() => {})
  },
  loop () {
    console.log('looping')
    for (;;);
  },
  // Says in a file that it has begun, and how it ended.
  wait (args) {
    note(args.file, 'begun')
    return new Promise((resolve, reject) => {
      const alive = setInterval(() => {}, 1000)
      process.whiskaway.signal.addEventListener('abort', () => {
        clearInterval(alive)
        note(args.file, 'cut')
        reject(new Error('cut'))
      })
    })
  }
}

function note (file, text) {
  fs.writeFileSync(file + '.new', text)
  fs.renameSync(file + '.new', file)
}

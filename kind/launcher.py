"""Runs one Python function for Whiskaway. See worker/protocol.md.

    python launcher.py FILE NAME

loads FILE, then calls its function NAME for each run that arrives on stdin,
and answers on file descriptor 3.
"""

import json
import os
import sys
from struct import Struct

RUN, END, STDOUT, STDERR, RESULT = 3, 0, 1, 2, 3
HEADER = Struct(">BxxxII")  # stream, length, run
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
STREAM_END = b'{"stream":true}'


def main():
    source, out = take_pipes()
    file, name = sys.argv[1:3]
    concurrency = int(os.environ.pop("WHISKAWAY_CONCURRENCY", "1"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        function = load(file, name)
    except (Exception, SystemExit) as e:
        print_traceback(e)
        write(out, to_json({"ok": False, "error": describe(e)}) + b"\n")
        flush()
        os._exit(1)
    flush()
    write(out, b'{"ok":true,"whiskaway":1,"concurrency":%d}\n' % concurrency)
    if concurrency > 1:
        serve_many(source, out, function, concurrency)
    else:
        serve_one_by_one(source, out, function)
    flush()
    os._exit(0)  # the server is gone: do not wait for the function's threads


def take_pipes():
    """Keeps stdin and fd 3 for ourselves: neither the function nor a process
    that it starts can get between us and the server."""
    source, out = os.dup(0), os.dup(3)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.close(3)
    return source, out


# Loading


class Missing(Exception):
    """The code has no such function."""


def load(file, name):
    directory = os.path.dirname(file)
    sys.argv = [file]
    sys.path[0] = directory
    add_own_packages(directory)
    module = type(sys)("main__")  # not "__main__": the file is loaded, not executed
    module.__file__ = file
    sys.modules["main__"] = module
    with open(file, "rb") as f:
        code = compile(f.read(), file, "exec")
    exec(code, module.__dict__)
    function = getattr(module, name, None)
    if callable(function):
        return function
    names = sorted(n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == "main__")
    raise Missing(f"The action does not have a function named '{name}'; it has {', '.join(names) or 'none'}.")


def add_own_packages(directory):
    """Honours a virtualenv that came in the function's zip."""
    activate = os.path.join(directory, "virtualenv", "bin", "activate_this.py")
    if os.path.isfile(activate):
        with open(activate, "rb") as f:
            exec(compile(f.read(), activate, "exec"), {"__file__": activate, "__name__": "activate_this"})
        return
    if os.path.isdir(os.path.join(directory, "virtualenv")):
        import glob
        import site

        for packages in glob.glob(os.path.join(directory, "virtualenv", "lib", "python*", "site-packages")):
            site.addsitedir(packages)
            sys.path.remove(packages)
            sys.path.insert(1, packages)


# Frames


def frames(fd):
    """Yields (stream, run, payload) until the end of the input."""
    data = b""
    while True:
        while len(data) < 12:
            more = os.read(fd, 65536)
            if not more:
                return
            data += more
        stream, length, run = HEADER.unpack_from(data)
        end = 12 + length
        if len(data) < end:
            data = read_rest(fd, data, end)
        yield stream, run, data[12:end]
        data = data[end:]


def read_rest(fd, start, size):
    whole = bytearray(size)
    whole[: len(start)] = start
    view, at = memoryview(whole), len(start)
    while at < size:
        n = os.readv(fd, [view[at:]])
        if n == 0:
            os._exit(0)
        at += n
    return bytes(whole)


def frame(stream, run, payload):
    return HEADER.pack(stream, len(payload), run) + payload


def write(fd, data):
    n = os.write(fd, data)
    while n < len(data):
        data = memoryview(data)[n:]
        n = os.write(fd, data)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, OSError):
            pass  # the function closed it


# One run


def handle(body, function, set_fields, send, run):
    """Calls the function, and sends its answer."""
    try:
        fields = json.loads(body)
        value = fields.pop("value", {})
        set_fields(fields)
        result = function(value)
        if type(result) is not dict:
            result = settle(result)
        if is_iterator(result):
            return send_items(result, send, run)
        answer = to_json(result)
    except Exception as e:
        print_traceback(e)
        answer = to_json({"error": describe(e)})
    flush()
    send(frame(RESULT, run, answer) + frame(END, run, b""))


def settle(result):
    """Waits for the result of an async function."""
    if hasattr(result, "__await__"):
        import asyncio

        async def wait():
            return await result

        return asyncio.run(wait())
    return result


def is_iterator(result):
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def send_items(items, send, run):
    """Sends each item as it comes. An exception becomes the last item."""
    try:
        for item in synchronous(items) if hasattr(items, "__anext__") else items:
            answer = to_json(item)
            flush()
            send(frame(RESULT, run, answer))
        last = b""
    except Exception as e:
        print_traceback(e)
        last = frame(RESULT, run, to_json({"error": describe(e)}))
    flush()
    send(last + frame(END, run, STREAM_END))


def synchronous(items):
    """Turns an async generator into a plain one."""
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                yield loop.run_until_complete(items.__anext__())
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def to_json(value):
    text = encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair can only be sent escaped
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def describe(e):
    if isinstance(e, Missing):
        return str(e)
    return f"{type(e).__name__}: {e}" if str(e) else type(e).__name__


def print_traceback(e):
    """Prints the traceback without our own frames."""
    import traceback

    if isinstance(e, Missing):
        print(e, file=sys.stderr)
        return
    tb = e.__traceback__
    while tb and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    traceback.print_exception(type(e), e, tb)


def variables(fields):
    """The fields of a run's body as environment variables."""
    for name, value in fields.items():
        yield "__OW_" + name.upper(), value if type(value) is str else to_json(value).decode()


# One run at a time


def serve_one_by_one(source, out, function):
    environ = os.environ
    current = {}  # what we have set, to set only what changed

    def set_fields(fields):
        new = dict(variables(fields))
        for name in current.keys() - new.keys():
            environ.pop(name, None)
        for name, value in new.items():
            if current.get(name) != value:
                environ[name] = value
        current.clear()
        current.update(new)

    def send(data):
        write(out, data)

    for stream, run, body in frames(source):
        if stream == RUN:
            handle(body, function, set_fields, send, run)


# Runs that overlap: each in a thread


def serve_many(source, out, function, concurrency):
    import contextvars
    import threading
    from concurrent.futures import ThreadPoolExecutor

    current_run = contextvars.ContextVar("current_run", default=None)
    current_fields = contextvars.ContextVar("current_fields", default={})
    lock = threading.Lock()

    def send(data):
        with lock:
            write(out, data)

    def set_fields(fields):
        current_fields.set(dict(variables(fields)))

    def start(run, body):
        current_run.set(run)
        try:
            handle(body, function, set_fields, send, run)
        except BaseException as e:  # sys.exit ends the worker, as it does without threads
            flush()
            os._exit(e.code if isinstance(e, SystemExit) and isinstance(e.code, int) else 1)

    sys.stdout = tagged(sys.stdout, STDOUT, current_run, send)
    sys.stderr = tagged(sys.stderr, STDERR, current_run, send)
    os.environ = overlaid(os.environ, current_fields)
    with ThreadPoolExecutor(concurrency) as pool:
        for stream, run, body in frames(source):
            if stream == RUN:
                pool.submit(contextvars.Context().run, start, run, body)


def tagged(plain, stream, current_run, send):
    """A text stream whose lines carry the run that wrote them."""
    import io

    class Tagged(io.TextIOBase):
        encoding, errors = plain.encoding, plain.errors
        pending = {}  # each run's line that has not ended

        def writable(self):
            return True

        def fileno(self):
            return plain.fileno()

        def write(self, text):
            run = current_run.get()
            if run is None:
                return plain.write(text)
            line = self.pending.pop(run, "") + text
            if "\n" in text:
                whole, line = line[: line.rindex("\n") + 1], line[line.rindex("\n") + 1 :]
                self.send(run, whole)
            if line:
                self.pending[run] = line
            return len(text)

        def flush(self):
            run = current_run.get()
            if run is None:
                plain.flush()
            elif run in self.pending:
                self.send(run, self.pending.pop(run))

        def send(self, run, text):
            send(frame(stream, run, text.encode(errors="backslashreplace")))

    return Tagged()


def overlaid(environ, current_fields):
    """os.environ, with the variables of the run that asks on top."""

    class Overlaid(type(environ)):
        def __getitem__(self, name):
            fields = current_fields.get()
            return fields[name] if name in fields else super().__getitem__(name)

        def __iter__(self):
            yield from current_fields.get()
            yield from (n for n in super().__iter__() if n not in current_fields.get())

        def __len__(self):
            return sum(1 for _ in self)

    e = environ
    return Overlaid(e._data, e.encodekey, e.decodekey, e.encodevalue, e.decodevalue)


if __name__ == "__main__":
    main()

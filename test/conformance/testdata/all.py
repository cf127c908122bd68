"""Does what the suite asks for. all.js and native/main.go do the same."""

import base64
import os
import signal
import subprocess
import sys
import threading
import time

runs = 0


def main(args):
    global runs
    runs += 1
    if not isinstance(args, dict) or "do" not in args:
        return {"got": args}
    return globals()["do_" + args["do"]](args)


def do_echo(args):
    return args


def do_answer(args):
    print("log of", args["id"])
    return {"id": args["id"], "activation": os.environ["__OW_ACTIVATION_ID"]}


def do_give(args):
    return args["give"]


def do_nothing(args):
    pass


def do_count(args):
    return {"runs": runs}


def do_env(args):
    probe = os.path.join(os.environ["TMPDIR"], "probe")
    with open(probe, "w") as f:
        f.write("written")
    return {"env": dict(os.environ), "cwd": os.getcwd(), "home": os.path.isfile(os.path.join(os.getcwd(), "main__.py"))}


def do_stdin(args):
    return {"stdin": sys.stdin.read()}


def do_measure(args):
    return {"got": len(args["text"]), "text": "y" * args["want"]}


def do_fail(args):
    print("about to fail")
    raise ValueError(args["why"])


def do_say(args):
    for s in args["say"]:
        stream = sys.stdout if s["to"] == 1 else sys.stderr
        if "bytes" in s:
            stream.flush()
            stream.buffer.write(base64.b64decode(s["bytes"]))
        else:
            stream.write(s["text"])
    return {"said": len(args["say"])}


def do_flood(args):
    for i in range(args["lines"]):
        print(f"{i:07d}" + "x" * 92)
    return {"lines": args["lines"]}


def do_child(args):
    print("before")
    subprocess.run(["sh", "-c", "echo child; echo child error >&2"], check=True)
    print("after")
    return {"child": True}


def do_late(args):
    def speak():
        while not os.path.exists(args["file"]):
            time.sleep(0.001)
        print("late", flush=True)
        os.remove(args["file"])

    threading.Thread(target=speak, daemon=True).start()
    return {"late": True}


def do_exit(args):
    print("last words")
    sys.stdout.flush()
    os._exit(args["code"])


def do_signal(args):
    print("last words")
    sys.stdout.flush()
    os.kill(os.getpid(), getattr(signal, args["signal"]))
    time.sleep(1000)


def do_loop(args):
    print("looping", flush=True)
    while True:
        pass


def do_wait(args):
    """Says in a file that it has begun, and how it ended."""
    note(args["file"], "begun")
    try:
        time.sleep(1000)
    finally:
        note(args["file"], "cut")


def note(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)

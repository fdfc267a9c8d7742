"""The scripts that go along with an export: the same list by plain transformers, and by vLLM.

Does not know bundles; what the scripts read is described in `docs/formats/export.md`.
"""

from __future__ import annotations

from pathlib import Path

from genrec.decoding import Normalization

HERE = Path(__file__).parent

_LEVEL_SHARES = """\
def shares(ids, scores):
    \"\"\"Log-probabilities among all codes of the position.\"\"\"
    return scores - scores[:, facts["token_ids"][ids.shape[1] - @START@]].logsumexp(1, keepdim=True)


mask = PrefixConstrainedLogitsProcessor(following, facts["generate"]["num_beams"])
"""
_VLLM_ASKED = {
    "allowed": """\
    step = {"temperature": 0, "max_tokens": 1}
    asked = [SamplingParams(logprobs=len(ids), allowed_token_ids=ids, **step) for ids in open_ids]""",
    "level": """\
    codes = facts["token_ids"][level]
    asked = SamplingParams(temperature=0, max_tokens=1, logprobs=len(codes), allowed_token_ids=codes)""",
    "full": """\
    asked = SamplingParams(temperature=0, max_tokens=1, logprobs=-1)""",
}


def plain_example(normalize: Normalization, *, encoder_decoder: bool) -> str:
    """The script for plain transformers: `generate` with the trie as `prefix_allowed_tokens_fn`.

    Args:
        normalize: The model's normaliser. Transformers' own scores are those of "full"; `renormalize_logits`,
            which stands in the export's `generate`, makes them those of "allowed".
        encoder_decoder: Whether the prompt is the encoder's.
    """
    model, more, search = "AutoModelForCausalLM", "", "prefix_allowed_tokens_fn=following"
    if encoder_decoder:
        model = "AutoModelForSeq2SeqLM"
    imports = model
    if normalize == "level":
        more, search = _LEVEL_SHARES, "logits_processor=[shares, mask]"
        imports = f"{model}, PrefixConstrainedLogitsProcessor"
    start = "1" if encoder_decoder else "prompt.shape[1]"
    marks = {"@MORE@": more, "@MODEL@": model, "@SEARCH@": search, "@IMPORTS@": imports, "@START@": start}
    return _filled("plain_example.txt", marks)


def vllm_example(normalize: Normalization) -> str:
    """The script for vLLM: a beam over the trie, a step a batch of requests.

    Args:
        normalize: The model's normaliser: who shares the softmax of a step.
    """
    return _filled("vllm_example.txt", {"@ASKED@": _VLLM_ASKED[normalize]})


def _filled(name: str, marks: dict[str, str]) -> str:
    text = (HERE / name).read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text

import json

from limner.models import TextToImage
from provider import create_body, request_digest
from provider.wire import encode

PROMPT = "一张电影质感的摄影作品 🪁"


def test_defaults_are_sent_explicitly_except_for_one_image() -> None:
    assert create_body(TextToImage(prompt=PROMPT)) == {
        "model": "ideogram/v3-text-to-image",
        "input": {
            "prompt": PROMPT,
            "rendering_speed": "BALANCED",
            "style": "AUTO",
            "expand_prompt": True,
            "image_size": "square_hd",
        },
    }


def test_all_given_fields_are_sent() -> None:
    request = TextToImage(
        prompt=PROMPT,
        negative_prompt="fog",
        rendering_speed="TURBO",
        style="DESIGN",
        expand_prompt=False,
        image_size="portrait_16_9",
        num_images=3,
        seed=0,
    )
    assert create_body(request, "https://hooks.example/1/a") == {
        "model": "ideogram/v3-text-to-image",
        "callBackUrl": "https://hooks.example/1/a",
        "input": {
            "prompt": PROMPT,
            "negative_prompt": "fog",
            "rendering_speed": "TURBO",
            "style": "DESIGN",
            "expand_prompt": False,
            "image_size": "portrait_16_9",
            "num_images": "3",
            "seed": 0,
        },
    }


def test_style_codes_exclude_style() -> None:
    given = create_body(TextToImage(prompt="a", style_codes=["00ff00AA"]))["input"]
    assert given["style_codes"] == ["00ff00AA"]
    assert "style" not in given


def test_a_body_is_utf8_json() -> None:
    body = create_body(TextToImage(prompt=PROMPT))
    assert PROMPT.encode() in encode(body)
    assert json.loads(encode(body)) == body


def test_only_equal_requests_have_equal_digests() -> None:
    digest = request_digest(TextToImage(prompt="a"))
    assert digest == request_digest(TextToImage(prompt="a", style=None, num_images=1))
    assert digest != request_digest(TextToImage(prompt="b"))
    assert digest != request_digest(TextToImage(prompt="a", num_images=2))
    assert len(bytes.fromhex(digest)) == 32

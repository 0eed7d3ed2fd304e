from sandbox.kie.callbacks import signature


def test_the_signature_follows_the_documented_scheme() -> None:
    # Computed by hand for contract 3.2.
    signed = signature("example-webhook-key", "3f0c9a5be1d24772a86b1d0e5c94f1aa", 1767225600)
    assert signed == "QjEsOPAIYGUhfxLJfHjjlT2TwBB4uor1+4eN1VoiCc4="

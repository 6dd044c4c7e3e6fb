"""The desk itself works."""


def test_a_deal_is_opened_once(desk):
    """AGR-14: a deal is put on the record once."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    desk.refuses(
        "AGR-14", "agreement open", title="T", capital=["acme"], capacity=["orion"]
    )

"""What we decline to do, each with a stable code and a sentence that tells a person what to do about it."""


class Refusal(Exception):
    """A wish that cannot be granted as things are. Nothing was written or rented because of it."""

    code = "refused"


class NoProviderKey(Refusal):
    code = "provider_key_missing"

    def __init__(self, cloud: str, field: str) -> None:
        super().__init__(f'No {cloud} key is set. Save one with PUT /api/settings {{"{field}": ...}} first.')


class ProviderKeyRefused(Refusal):
    code = "provider_key_refused"

    def __init__(self, cloud: str) -> None:
        super().__init__(f"{cloud} refuses the saved key. Save a working one with PUT /api/settings.")


class AccountInUse(Refusal):
    code = "account_in_use"

    def __init__(self, open_leases: int, cloud: str) -> None:
        super().__init__(
            f"The new key belongs to another {cloud} account, and {open_leases} machine(s) are still rented on "
            "the old one. Destroy them first."
        )


class SpendingCapReached(Refusal):
    code = "spending_cap"

    def __init__(self, committed: float, price: float, cap: float) -> None:
        super().__init__(
            f"This would pass your spending cap: {committed:.2f} USD are spent or committed for the last 24 hours, the "
            f"machine adds {price:.2f} USD/h, and the cap is {cap:.2f} USD a day (settings.spending_cap_per_day)."
        )
        self.committed, self.price, self.cap = committed, price, cap


class GpuLimitReached(Refusal):
    code = "gpu_limit"

    def __init__(self, held: int, wanted: int, limit: int) -> None:
        super().__init__(
            f"You hold {held} GPU(s), this wants {wanted} more, and the limit is {limit} (settings.max_gpus). "
            "Destroy something first, or raise the limit."
        )


class NoOfferFree(Refusal):
    code = "no_offers"

    def __init__(self, sentence: str = "No matching offer is free now.") -> None:
        super().__init__(sentence)

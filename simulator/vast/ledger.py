"""The money: GPU seconds only while running, storage from creation to the end, bandwidth by the byte."""

from collections.abc import Iterable

from simulator.vast.records import Account, Contract


def spent(account: Account, contracts: Iterable[Contract], now: float) -> float:
    return sum(contract.cost(now) for contract in contracts if contract.account_id == account.id)


def credit_left(account: Account, contracts: Iterable[Contract], now: float, money_rate: float) -> float:
    """What the account can still spend: deposits of reserved machines are not it."""
    mine = [contract for contract in contracts if contract.account_id == account.id]
    held = sum(contract.deposit(now, money_rate) for contract in mine)
    return account.credit - spent(account, mine, now) * money_rate - held


def settle(contract: Contract, now: float) -> None:
    """Make the meters agree with the contract's state; call it after every change of state."""
    if not contract.alive:
        contract.gpu_time.halt(now)
        contract.storage_time.halt(now)
        return
    contract.storage_time.run(now)
    if contract.actual_status == "running":
        contract.gpu_time.run(now)
    else:
        contract.gpu_time.halt(now)


def skip_downtime(contract: Contract, last_seen: float, now: float) -> None:
    """The simulator was off between ``last_seen`` and ``now``: nothing was rented then, so nothing is charged."""
    for meter in (contract.gpu_time, contract.storage_time):
        if meter.since is not None:
            meter.halt(max(last_seen, meter.since))
            meter.run(now)

"""Everything the simulated cloud knows, in memory and on disk."""

import secrets
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator import ledger
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.limits import Limiter
from simulator.machines.machine import Machine
from simulator.market import population
from simulator.records import Account, Contract, Host, Offer, SshKey
from simulator.settings import Settings, Speed
from simulator.store import Store

FIRST_CREDIT = 1000.0
FIRST_ACCOUNT = 117_001
FIRST_CONTRACT = 27_000_000


@dataclass
class Cloud:
    folder: Path
    speed: Speed
    seed: int
    settings: Settings
    store: Store
    fleet: Fleet
    faults: Faults
    limiter: Limiter = field(default_factory=Limiter)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=20_000))
    rent_requests: int = 0
    hosts: dict[int, Host] = field(init=False)
    offers: dict[int, Offer] = field(init=False)
    contracts: dict[int, Contract] = field(init=False)
    accounts: dict[int, Account] = field(init=False)
    ssh_keys: dict[int, SshKey] = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = self.store.load("hosts", Host)
        self.offers = self.store.load("offers", Offer)
        self.contracts = self.store.load("contracts", Contract)
        self.accounts = self.store.load("accounts", Account)
        self.ssh_keys = self.store.load("ssh_keys", SshKey)
        if not self.offers:
            self.populate()

    def populate(self) -> None:
        hosts, offers = population(self.seed)
        self.hosts = {host.id: host for host in hosts}
        self.offers = {offer.id: offer for offer in offers}
        self.store.save_all("hosts", self.hosts.items())
        self.store.save_all("offers", self.offers.items())

    def add_account(self, api_key: str, credit: float = FIRST_CREDIT) -> Account:
        number = max(self.accounts, default=FIRST_ACCOUNT - 1) + 1
        account = Account(
            id=number, api_key=api_key, email=f"user{number}@simulator.invalid", username=f"user{number}", credit=credit
        )
        self.accounts[number] = account
        self.store.save("accounts", number, account)
        return account

    def living(self, account: Account | None = None) -> list[Contract]:
        return [c for c in self.contracts.values() if c.alive and (account is None or c.account_id == account.id)]

    def shown(self, account: Account) -> Iterator[Contract]:
        """The account's contracts that a listing shows now."""
        now = time.time()
        return (contract for contract in self.living(account) if contract.visible_from <= now)

    def keep(self, contract: Contract) -> None:
        self.contracts[contract.id] = contract
        self.store.save("contracts", contract.id, contract)

    def next_contract_id(self) -> int:
        return max(self.contracts, default=FIRST_CONTRACT) + secrets.randbelow(9) + 1

    def credit(self, account: Account) -> float:
        return ledger.credit_left(account, self.contracts.values(), time.time(), self.settings.money_rate)

    def account_keys(self, account_id: int) -> list[SshKey]:
        return [key for key in self.ssh_keys.values() if key.account_id == account_id]

    def keys_of(self, contract: Contract) -> list[str]:
        """The public keys that the platform puts on the machine: of the account at creation, attached, from the env."""
        named = [contract.env["SSH_PUBLIC_KEY"]] if contract.env.get("SSH_PUBLIC_KEY") else []
        keys = [key.public_key.strip() for key in contract.attached] + [line.strip() for line in named]
        return list(dict.fromkeys(keys))

    def machine(self, contract: Contract) -> Machine:
        return self.fleet.machine(contract.id, lambda path: self._board(contract, path))

    def _board(self, contract: Contract, path: str) -> dict[str, object]:
        """What the machine's hardware tells the programs on it."""
        if path != "/model-server":
            return {"error": "not_found"}
        text = f"{contract.label} {contract.image} {contract.gpu_name} {contract.id}"
        fault = self.faults.fire_machine("model_server", text)
        return {"fault": fault, "load_seconds": self.settings.clocks.model_loading}

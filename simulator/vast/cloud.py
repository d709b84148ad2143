"""Everything the simulated cloud knows, in memory and on disk."""

import secrets
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.account_settings import AccountSettings
from simulator.faults import Faults
from simulator.machines.machine import Machine
from simulator.settings import Settings, Speed
from simulator.store import RecordStore
from simulator.vast import ledger
from simulator.vast.instances.fleet import Fleet
from simulator.vast.market.population import population
from simulator.vast.notifications import Notifications
from simulator.vast.rate_limits import Limiter
from simulator.vast.records import Account, ApiKey, Contract, Host, Offer, Payment, SshKey, Webhook

FIRST_CREDIT = 1000.0
FIRST_ACCOUNT = 117_001
FIRST_CONTRACT = 27_000_000


@dataclass
class Cloud:
    folder: Path
    speed: Speed
    seed: int
    settings: Settings
    store: RecordStore
    fleet: Fleet
    faults: Faults
    account_settings: AccountSettings = field(default_factory=AccountSettings)
    limiters: defaultdict[int | None, Limiter] = field(default_factory=lambda: defaultdict(Limiter))
    """by account; none: of those who search without a key"""
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=20_000))
    rent_requests: Counter[int] = field(default_factory=Counter)
    """how often each account asked to rent"""
    highest_contract: int = FIRST_CONTRACT
    hosts: dict[int, Host] = field(init=False)
    offers: dict[int, Offer] = field(init=False)
    contracts: dict[int, Contract] = field(init=False)
    accounts: dict[int, Account] = field(init=False)
    ssh_keys: dict[int, SshKey] = field(init=False)
    api_keys: dict[int, ApiKey] = field(init=False)
    webhooks: dict[int, Webhook] = field(init=False)
    notifications: Notifications = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = self.store.load("hosts", Host)
        self.offers = self.store.load("offers", Offer)
        self.contracts = self.store.load("contracts", Contract)
        self.accounts = self.store.load("accounts", Account)
        self.ssh_keys = self.store.load("ssh_keys", SshKey)
        self.api_keys = self.store.load("api_keys", ApiKey)
        self.webhooks = self.store.load("webhooks", Webhook)
        self.notifications = Notifications(self)
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
        account.payments.append(Payment(time=time.time(), amount=credit))
        self.accounts[number] = account
        self.store.save("accounts", number, account)
        return account

    def settings_of(self, account_id: int | None) -> Settings:
        """What holds for this account's requests and machines (none: for those who say no key)."""
        return self.account_settings.of(account_id, self.settings)

    def pay_in(self, account: Account, amount: float) -> None:
        """Credit bought (or, negative, taken back)."""
        account.credit += amount
        account.payments.append(Payment(time=time.time(), amount=amount))
        account.warned = False
        self.store.save("accounts", account.id, account)

    def living(self, account: Account | None = None) -> list[Contract]:
        return [c for c in self.contracts.values() if c.alive and (account is None or c.account_id == account.id)]

    def listed(self, account: Account) -> Iterator[Contract]:
        """The account's contracts that a listing shows now."""
        now = time.time()
        return (c for c in self.living(account) if max(c.visible_from, c.listed_from) <= now)

    def findable(self, contract: Contract) -> bool:
        """Does the cloud find it by its id now?"""
        return max(contract.visible_from, contract.found_from) <= time.time()

    def keep(self, contract: Contract) -> None:
        self.contracts[contract.id] = contract
        self.store.save("contracts", contract.id, contract)

    def next_contract_id(self) -> int:
        """Never one that was given before, also when its contract has been forgotten since."""
        self.highest_contract = max([self.highest_contract, *self.contracts]) + secrets.randbelow(9) + 1
        return self.highest_contract

    def credit(self, account: Account) -> float:
        rate = self.settings_of(account.id).money_rate
        return ledger.credit_left(account, self.contracts.values(), time.time(), rate)

    def account_keys(self, account_id: int) -> list[SshKey]:
        return [key for key in self.ssh_keys.values() if key.account_id == account_id]

    def keys_of(self, contract: Contract) -> list[str]:
        """The public keys that the platform puts on the machine: of the account at creation, attached, from the env."""
        named = [contract.env["SSH_PUBLIC_KEY"]] if contract.env.get("SSH_PUBLIC_KEY") else []
        keys = [key.public_key.strip() for key in contract.attached] + [line.strip() for line in named]
        return list(dict.fromkeys(keys))

    def secrets_of(self, contract: Contract) -> dict[str, str]:
        """The account's environment variables, which its machines get when they boot."""
        return self.accounts[contract.account_id].secrets

    def count_traffic(self, contract: Contract, machine: Machine) -> None:
        up, down = machine.take_traffic()
        contract.up_bytes += up
        contract.down_bytes += down

    def gpu_load(self, contract: Contract) -> tuple[float, int]:
        """GPU use in percent and memory in MB: what model servers do, and what the control routes set."""
        machine = self.fleet.known(contract.id)
        busy, used = machine.load() if machine else (0.0, 0)
        return max(busy, contract.gpu_util), used + contract.gpu_memory_used

    def machine(self, contract: Contract) -> Machine:
        return self.fleet.machine(contract.id, lambda path: self._board(contract, path))

    def _board(self, contract: Contract, path: str) -> dict[str, object]:
        """What the machine's hardware tells the programs on it."""
        if path != "/model-server":
            return {"error": "not_found"}
        text = f"{contract.label} {contract.image} {contract.gpu_name} {contract.id}"
        fault = self.faults.fire_machine("model_server", text, contract.account_id)
        loading = self.settings_of(contract.account_id).clocks.model_loading
        return {"fault": fault and fault.fault, "load_seconds": loading}

"""A phone company: bills paid late, credits for outages, plans, data left."""

from random import Random

from actwise.desk import policies
from actwise.desk.expert import Act, Call, compare, day, minus, plus
from actwise.desk.goods import PLANS
from actwise.desk.scenes import add_up, ask_for_both, compare_prices, price, price_with_extra
from actwise.desk.talk import Domain, Gap, Goods, Scene, Subject, Talk
from actwise.desk.wordings import phone as say
from actwise.desk.world import NUMBERS, Business, Choice, Parameter, Row, ToolSpec, World

_SCHEMA = """
CREATE TABLE plans (name TEXT PRIMARY KEY, price INTEGER, data INTEGER);
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, plan TEXT, owed INTEGER, due TEXT, used INTEGER, outage INTEGER,
    credit INTEGER DEFAULT 0
);
"""


def _around(rng: Random, limit: int, by: int) -> int:
    """Return a number up to `limit` half the time, above it otherwise."""
    if rng.random() < 0.5:
        return rng.randint(limit - by, limit)
    return rng.randint(limit + 1, limit + by)


def _fill(world: World, rng: Random) -> None:
    names = rng.sample(PLANS.pool(world.shifted), 5)
    data = dict(zip(names, rng.sample(range(40, 100), 5), strict=True))
    world.database.executemany(
        "INSERT INTO plans VALUES (?, ?, ?)",
        [
            (name, price, data[name])
            for name, price in zip(names, rng.sample(range(20, 76), 5), strict=True)
        ],
    )
    values = world.values
    for number in rng.sample(NUMBERS, 7):
        plan = rng.choice(names)
        late = _around(rng, values["grace"], values["grace"] - 2)
        world.database.execute(
            "INSERT INTO accounts (id, plan, owed, due, used, outage) VALUES (?, ?, ?, ?, ?, ?)",
            (
                number,
                plan,
                _around(rng, values["most_owed"], 15),
                world.date(world.today - late),
                rng.randint(10, data[plan] - 5),
                _around(rng, values["outage"] - 1, 8),
            ),
        )


# What is right


def pay(world: World, number: int, account: Row) -> Act:
    """Pay what is owed, with the late fee where the days of grace are over."""
    due, grace = day(account["due"]), world.values["grace"]
    late = world.today - due
    amount, late_fee = account["owed"], world.values["late_fee"]
    thought = (
        f"Pay? Today {world.today}, due {due}: {minus(world.today, due)}. "
        f"Limit {grace}: {compare(late, grace)}: "
    )
    if late > grace:
        thought += f"late, pay {plus(amount, late_fee)}."
        amount += late_fee
    else:
        thought += f"no fee, pay {amount}."
    return Act(
        "act",
        thought,
        calls=(Call("pay_bill", {"account_id": number, "amount": amount}),),
        done=f"The bill of account {number} is paid: {amount} dollars.",
        reasoning=True,
    )


def credit(world: World, number: int, account: Row) -> Act:
    """Give the credit for a long outage."""
    outage, limit = account["outage"], world.values["outage"]
    thought = f"Credit? Outage {outage}, needed {limit}: {compare(outage, limit)}: "
    if outage < limit:
        return Act(
            "refuse",
            f"{thought}too short.",
            answer=f"Account {number} cannot get a credit: the outage was {outage} hours "
            f"and the limit is {limit}.",
            reasoning=True,
        )
    amount = world.values["credit"]
    return Act(
        "act",
        f"{thought}credit {amount}.",
        calls=(Call("credit_account", {"account_id": number, "amount": amount}),),
        done=f"Account {number} gets a credit of {amount} dollars.",
        reasoning=True,
    )


def change_plan(world: World, number: int, account: Row, plan: str) -> Act:
    """Change the plan of an account that does not owe too much."""
    owed, limit = account["owed"], world.values["most_owed"]
    thought = f"Change the plan? Owed {owed}, limit {limit}: {compare(owed, limit)}: "
    if owed > limit:
        return Act(
            "refuse",
            f"{thought}too much.",
            answer=f"The plan of account {number} cannot be changed: {owed} dollars are owed "
            f"and the limit is {limit}.",
            reasoning=True,
        )
    return Act(
        "act",
        f"{thought}allowed.",
        calls=(Call("change_plan", {"account_id": number, "plan": plan}),),
        done=f"Account {number} now has the {plan} plan.",
        reasoning=True,
    )


# What customers come for

_PLAN = Gap(say.CHANGE_NO_PLAN, "plan", "Which plan shall account {number} get?", say.PLAN_NAME)


def _pay(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    talk.act(pay(talk.world, number, talk.identify(number, say.PAY)))


def _credit(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    talk.act(credit(talk.world, number, talk.identify(number, say.CREDIT)))


def _change_plan(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    query = "SELECT plan FROM accounts WHERE id = ?"
    (current,) = talk.world.database.execute(query, (number,)).fetchone()
    plan = talk.pick("plans", "name", f"name <> '{current}'")
    account = talk.identify(number, say.CHANGE, _PLAN, plan=plan)
    talk.act(change_plan(talk.world, number, account, plan))


def _overdue(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    account = talk.identify(number, say.OVERDUE)
    today, due = talk.world.today, day(account["due"])
    talk.act(
        Act(
            "inform",
            f"How late? Today {today}, due {due}: {minus(today, due)}.",
            answer=f"Account {number} is {today - due} days overdue.",
            reasoning=True,
        )
    )
    if talk.world.offers("pay_bill") and talk.follows():
        talk.ask(say.PAY_IT)
        talk.act(pay(talk.world, number, account))


def _data_left(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    account = talk.identify(number, say.DATA_LEFT)
    data, used = account["data"], account["used"]
    talk.act(
        Act(
            "inform",
            f"Data left? Data {data}, used {used}: {minus(data, used)}.",
            answer=f"Account {number} has {data - used} GB left.",
            reasoning=True,
        )
    )


def _plan(talk: Talk) -> None:
    number = talk.pick("accounts", "id")
    account = talk.identify(number, say.PLAN)
    plan, data = account["plan"], account["data"]
    answer = f"Account {number} has the {plan} plan with {data} GB."
    talk.act(Act("inform", f"The plan is {plan}, data {data}.", answer=answer))


def _together(talk: Talk) -> None:
    numbers = [talk.pick("accounts", "id") for _ in range(2)]
    add_up(talk, say.TOGETHER, numbers, field="owed")


def _cheaper(talk: Talk) -> None:
    _, rows = compare_prices(talk, say.CHEAPER)
    ask_for_both(talk, rows)


def _setup(talk: Talk) -> None:
    price_with_extra(talk, say.SETUP, extra="setup")


def _price(talk: Talk) -> None:
    price(talk, say.PRICE, extra="setup", too=say.SETUP_TOO)


def _stranger(talk: Talk) -> None:
    talk.ask(say.STRANGER, stranger=talk.rng.choice(NUMBERS))
    answer = "I cannot tell you about other customers."
    talk.act(Act("refuse", "Other customers are private.", answer=answer))


PHONE = Domain(
    Business(
        name="phone",
        schema=_SCHEMA,
        fill=_fill,
        days=(21, 30),
        values={
            "grace": Choice((6, 8, 10), (7, 9)),
            "late_fee": Choice((5, 8, 12, 15), (7, 11, 14)),
            "outage": Choice((10, 12, 16, 20), (11, 14, 18)),
            "credit": Choice((10, 15, 20, 25), (12, 18, 22)),
            "most_owed": Choice((40, 50, 60), (45, 55)),
            "setup": Choice((9, 14, 18), (11, 16, 19)),
        },
        policy=policies.PHONE,
        parameters={
            "account_id": Parameter(
                Choice(("account_id", "account", "account_number"), ("contract_id", "contract")),
                "integer",
            ),
            "plan": Parameter(
                Choice(("plan", "plan_name", "name"), ("package", "package_name")), "string"
            ),
            "amount": Parameter(Choice(("amount", "dollars"), ("money", "sum")), "integer"),
        },
        lookups={
            "get_account": ToolSpec(
                Choice(
                    ("get_account", "show_account", "account_info"),
                    ("fetch_contract", "contract_details"),
                ),
                "Look up an account",
                ("account_id",),
                (
                    "SELECT plan, owed, due, data, used, outage FROM accounts "
                    "JOIN plans ON plan = name WHERE id = :account_id",
                ),
            ),
            "get_plan": ToolSpec(
                Choice(
                    ("get_plan", "find_plan", "plan_info"), ("fetch_package", "package_details")
                ),
                "Look up a plan",
                ("plan",),
                ("SELECT price, data FROM plans WHERE name = :plan",),
            ),
        },
        acts={
            "pay_bill": ToolSpec(
                Choice(
                    ("pay_bill", "pay_account", "take_payment"), ("settle_contract", "clear_debt")
                ),
                "Pay the bill",
                ("account_id", "amount"),
                (
                    "UPDATE accounts SET owed = 0 WHERE id = :account_id",
                    "SELECT owed, :amount AS paid FROM accounts WHERE id = :account_id",
                ),
            ),
            "credit_account": ToolSpec(
                Choice(
                    ("credit_account", "give_credit", "add_credit"),
                    ("compensate_contract", "grant_bonus"),
                ),
                "Give a credit",
                ("account_id", "amount"),
                (
                    "UPDATE accounts SET credit = credit + :amount WHERE id = :account_id",
                    "SELECT credit FROM accounts WHERE id = :account_id",
                ),
            ),
            "change_plan": ToolSpec(
                Choice(
                    ("change_plan", "set_plan", "update_plan"),
                    ("switch_package", "convert_contract"),
                ),
                "Change the plan",
                ("account_id", "plan"),
                (
                    "UPDATE accounts SET plan = :plan WHERE id = :account_id",
                    "SELECT plan FROM accounts WHERE id = :account_id",
                ),
            ),
        },
    ),
    Subject(
        noun="account",
        table="accounts",
        lookup="get_account",
        parameter="account_id",
        with_number=say.WITH_NUMBER,
        without_number=say.WITHOUT_NUMBER,
        corrected=say.CORRECTED,
        number=say.NUMBER,
        correction=say.CORRECTION,
        idle=say.PLAN,
    ),
    Goods("plan", "{} plan", "plans", PLANS, "get_plan", "plan", say.OTHER),
    (
        Scene(_pay, ("pay_bill",), 9),
        Scene(_credit, ("credit_account",), 7),
        Scene(_change_plan, ("change_plan",), 7),
        Scene(_overdue, weight=6),
        Scene(_data_left, weight=3),
        Scene(_together, weight=4),
        Scene(_cheaper, weight=4),
        Scene(_setup, weight=3),
        Scene(_plan, weight=1),
        Scene(_price, weight=2),
        Scene(_stranger, weight=1),
    ),
)

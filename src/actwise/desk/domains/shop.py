"""A shop: refunds within some days, orders that may still be cancelled, stock, shipping."""

from random import Random

from actwise.desk import policies
from actwise.desk.expert import Act, Call, compare, day, minus
from actwise.desk.goods import PRODUCTS
from actwise.desk.scenes import add_up, ask_for_both, compare_prices, price, price_with_extra
from actwise.desk.talk import Domain, Gap, Goods, Scene, Subject, Talk
from actwise.desk.wordings import shop as say
from actwise.desk.world import NUMBERS, Business, Choice, Parameter, Row, ToolSpec, World

_SCHEMA = """
CREATE TABLE products (name TEXT PRIMARY KEY, price INTEGER, stock INTEGER);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, product TEXT, price INTEGER, status TEXT, delivered TEXT,
    expected TEXT
);
"""
_LONGEST_WAIT = 5
"""Days until an order that is not delivered is expected."""


def _fill(world: World, rng: Random) -> None:
    names = rng.sample(PRODUCTS.pool(world.shifted), 6)
    prices = dict(zip(names, rng.sample(range(20, 76), 6), strict=True))
    world.database.executemany(
        "INSERT INTO products VALUES (?, ?, ?)",
        [(name, price, rng.randint(12, 40)) for name, price in prices.items()],
    )
    window = world.values["window"]
    ages = [rng.randint(2, window) for _ in range(2)]
    ages += [rng.randint(window + 1, window + 6) for _ in range(2)]
    states: list[tuple[str, str | None, str | None]] = [
        ("delivered", world.date(world.today - age), None) for age in ages
    ]
    states += [
        (status, None, world.date(world.today + rng.randint(1, _LONGEST_WAIT)))
        for status in ("processing", "processing", "shipped", "shipped")
    ]
    for number, state in zip(rng.sample(NUMBERS, 8), states, strict=True):
        product = rng.choice(names)
        world.database.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            (number, product, prices[product], *state),
        )


# What is right


def refund(world: World, number: int, order: Row) -> Act:
    """Refund the price less the fee, if the delivery is not too long ago."""
    delivered, limit = day(order["delivered"]), world.values["window"]
    age = world.today - delivered
    thought = (
        f"Refund? Today {world.today}, delivered {delivered}: {minus(world.today, delivered)}. "
        f"Limit {limit}: {compare(age, limit)}: "
    )
    if age > limit:
        return Act(
            "refuse",
            f"{thought}too late.",
            answer=f"Order {number} cannot be refunded: {age} days have passed "
            f"and the limit is {limit}.",
            reasoning=True,
        )
    amount = order["price"] - world.values["fee"]
    return Act(
        "act",
        f"{thought}refund {minus(order['price'], world.values['fee'])}.",
        calls=(Call("refund_order", {"order_id": number, "amount": amount}),),
        done=f"Order {number} is refunded: {amount} dollars.",
        reasoning=True,
    )


def cancel(number: int, order: Row) -> Act:
    """Cancel an order that is not shipped."""
    if order["status"] == "shipped":
        return Act(
            "refuse",
            f"Cancel? Order {number} is shipped: too late.",
            answer=f"Order {number} cannot be cancelled: it is already shipped.",
            reasoning=True,
        )
    return Act(
        "act",
        f"Cancel? Order {number} is processing: not shipped.",
        calls=(Call("cancel_order", {"order_id": number}),),
        done=f"Order {number} is cancelled.",
        reasoning=True,
    )


def buy(product: str, quantity: int, stock: int) -> Act:
    """Place an order that the stock covers."""
    thought = f"Order? Wanted {quantity}, stock {stock}: {compare(quantity, stock)}: "
    if quantity > stock:
        return Act(
            "refuse",
            f"{thought}not enough.",
            answer=f"{quantity} pieces of the {product} cannot be ordered: "
            f"only {stock} are in stock.",
            reasoning=True,
        )
    return Act(
        "act",
        f"{thought}enough.",
        calls=(Call("place_order", {"product": product, "quantity": quantity}),),
        done=f"Order {{order_id}} is placed: {quantity} pieces of the {product}.",
        reasoning=True,
    )


# What customers come for

_QUANTITY = Gap(say.BUY_NO_QUANTITY, "quantity", "How many pieces of the {product}?", say.QUANTITY)


def _refund(talk: Talk) -> None:
    number = talk.pick("orders", "id", "status = 'delivered'")
    talk.act(refund(talk.world, number, talk.identify(number, say.REFUND)))


def _cancel(talk: Talk) -> None:
    number = talk.pick("orders", "id", "status IN ('processing', 'shipped')")
    talk.act(cancel(number, talk.identify(number, say.CANCEL)))


def _days(talk: Talk) -> None:
    number = talk.pick("orders", "id", "status = 'delivered'")
    order = talk.identify(number, say.DAYS)
    today, delivered = talk.world.today, day(order["delivered"])
    talk.act(
        Act(
            "inform",
            f"How long ago? Today {today}, delivered {delivered}: {minus(today, delivered)}.",
            answer=f"Order {number} was delivered {today - delivered} days ago.",
            reasoning=True,
        )
    )
    if talk.world.offers("refund_order") and talk.follows():
        talk.ask(say.REFUND_IT)
        talk.act(refund(talk.world, number, order))


def _status(talk: Talk) -> None:
    number = talk.pick("orders", "id", "status IN ('processing', 'shipped')")
    order = talk.identify(number, say.STATUS)
    status, expected = order["status"], order["expected"]
    answer = f"Order {number} is {status} and expected on {expected}."
    talk.act(Act("inform", f"The status is {status}, expected {expected}.", answer=answer))


def _together(talk: Talk) -> None:
    numbers = [talk.pick("orders", "id", "status = 'delivered'") for _ in range(2)]
    add_up(talk, say.TOGETHER, numbers, field="price")


def _quantity(talk: Talk, product: str) -> int:
    """Return a wish that the stock covers half the time."""
    query = "SELECT stock FROM products WHERE name = ?"
    (stock,) = talk.world.database.execute(query, (product,)).fetchone()
    if talk.rng.random() < 0.5:
        return int(stock - talk.rng.randint(0, 9))
    return int(stock + talk.rng.randint(1, 9))


def _cheaper(talk: Talk) -> None:
    names, rows = compare_prices(talk, say.CHEAPER)
    if not talk.world.offers("place_order"):
        ask_for_both(talk, rows)
    elif talk.follows():
        best = min(range(2), key=lambda i: rows[i]["price"])
        quantity = _quantity(talk, names[best])
        talk.ask(say.TAKE_IT, quantity=quantity)
        talk.act(buy(names[best], quantity, rows[best]["stock"]))


def _buy(talk: Talk) -> None:
    (product,) = talk.pick_goods(1)
    quantity = _quantity(talk, product)
    row = talk.find(product, say.BUY, _QUANTITY, quantity=quantity)
    talk.act(buy(product, quantity, row["stock"]))


def _shipping(talk: Talk) -> None:
    price_with_extra(talk, say.SHIPPING, extra="shipping")


def _price(talk: Talk) -> None:
    price(talk, say.PRICE, extra="shipping", too=say.SHIPPING_TOO)


def _discount(talk: Talk) -> None:
    talk.ask(say.DISCOUNT)
    talk.act(Act("refuse", "There are no discounts.", answer="I cannot give a discount."))


SHOP = Domain(
    Business(
        name="shop",
        schema=_SCHEMA,
        fill=_fill,
        days=(21, 25),
        values={
            "window": Choice((6, 8, 10, 12, 14), (7, 9, 11, 13)),
            "fee": Choice((3, 4, 6, 8, 12), (5, 7, 9, 11)),
            "shipping": Choice((5, 8, 11, 14), (6, 9, 12, 15)),
        },
        policy=policies.SHOP,
        parameters={
            "order_id": Parameter(
                Choice(("order_id", "order", "order_number"), ("purchase_id", "purchase")),
                "integer",
            ),
            "product": Parameter(
                Choice(("product", "product_name", "name"), ("article", "item")), "string"
            ),
            "amount": Parameter(
                Choice(("amount", "dollars"), ("refund_sum", "payback")), "integer"
            ),
            "quantity": Parameter(Choice(("quantity", "count"), ("units", "how_many")), "integer"),
        },
        lookups={
            "get_order": ToolSpec(
                Choice(
                    ("get_order", "show_order", "order_info"),
                    ("fetch_purchase", "purchase_details"),
                ),
                "Look up an order",
                ("order_id",),
                (
                    "SELECT product, price, status, delivered, expected FROM orders "
                    "WHERE id = :order_id",
                ),
            ),
            "find_product": ToolSpec(
                Choice(
                    ("find_product", "get_product", "product_info"),
                    ("search_article", "article_details"),
                ),
                "Look up a product",
                ("product",),
                ("SELECT price, stock FROM products WHERE name = :product",),
            ),
        },
        acts={
            "refund_order": ToolSpec(
                Choice(
                    ("refund_order", "send_refund", "pay_back"),
                    ("return_money", "reimburse_purchase"),
                ),
                "Refund an order",
                ("order_id", "amount"),
                (
                    "UPDATE orders SET status = 'refunded' WHERE id = :order_id",
                    "SELECT status, :amount AS amount FROM orders WHERE id = :order_id",
                ),
            ),
            "cancel_order": ToolSpec(
                Choice(("cancel_order", "stop_order"), ("revoke_purchase", "drop_purchase")),
                "Cancel an order",
                ("order_id",),
                (
                    "UPDATE orders SET status = 'cancelled' WHERE id = :order_id",
                    "SELECT status FROM orders WHERE id = :order_id",
                ),
            ),
            "place_order": ToolSpec(
                Choice(
                    ("place_order", "create_order", "buy_product"),
                    ("submit_purchase", "new_purchase"),
                ),
                "Order a product",
                ("product", "quantity"),
                (
                    "UPDATE products SET stock = stock - :quantity WHERE name = :product",
                    "INSERT INTO orders (product, price, status) SELECT name, price * :quantity, "
                    "'new' FROM products WHERE name = :product",
                    "SELECT max(id) AS order_id FROM orders WHERE product = :product "
                    "AND status = 'new'",
                ),
            ),
        },
    ),
    Subject(
        noun="order",
        table="orders",
        lookup="get_order",
        parameter="order_id",
        with_number=say.WITH_NUMBER,
        without_number=say.WITHOUT_NUMBER,
        corrected=say.CORRECTED,
        number=say.NUMBER,
        correction=say.CORRECTION,
        idle=say.STATUS,
    ),
    Goods("product", "{}", "products", PRODUCTS, "find_product", "product", say.OTHER),
    (
        Scene(_refund, ("refund_order",), 9),
        Scene(_cancel, ("cancel_order",), 5),
        Scene(_days, weight=6),
        Scene(_together, weight=4),
        Scene(_cheaper, weight=5),
        Scene(_buy, ("place_order",), 8),
        Scene(_shipping, weight=3),
        Scene(_status, weight=1),
        Scene(_price, weight=2),
        Scene(_discount, weight=1),
    ),
)

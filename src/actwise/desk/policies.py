"""The policies of the businesses: for each an opening, and rules that come in any order.

Each rule has several wordings, so that a policy has to be read: where a number stands says nothing.
The second pool of each is `shifted`'s alone. Slots are the policy's values and `{today}`.
"""

from actwise.desk.wordings import lines

_TOGETHER = lines(
    """
Look things up together and never twice.
Look up all at once and nothing twice.
Use the tools together, never twice for the same.
""",
    "Collect all you need in one go, and only once.",
)

SHOP = (
    lines(
        """
You work for a shop. Today is {today}.
Shop desk, {today}.
This is the desk of a shop, on {today}.
{today}. You answer customers of a shop.
""",
        "It is {today} at our store.",
    ),
    lines(
        """
Refunds only within {window} days of delivery, less a fee of {fee} dollars.
Orders delivered at most {window} days ago can be refunded; {fee} dollars are kept.
A refund costs {fee} dollars and is possible until {window} days after delivery.
When more than {window} days have passed nothing is refunded, before that the price less {fee}.
Take goods back for {window} days after they are delivered and deduct {fee} dollars.
""",
        "After delivery, customers have {window} days to get their money back, minus {fee} dollars "
        "for handling.",
    ),
    lines(
        """
Shipped orders cannot be cancelled.
Cancel only before shipping.
An order can be cancelled until it is shipped.
No cancelling of orders that are shipped.
""",
        "What has been shipped stays sold.",
    ),
    lines(
        """
Order only what is in stock.
Never order more than the stock.
An order must not be larger than the stock.
Take orders only for pieces in stock.
""",
        "We sell no more than we have.",
    ),
    lines(
        """
Shipping costs {shipping} dollars.
Shipping is {shipping} dollars.
Add {shipping} dollars for shipping.
Each parcel is shipped for {shipping} dollars.
""",
        "Postage: {shipping} dollars.",
    ),
    lines(
        """
No discounts.
Give no discounts.
Discounts do not exist here.
Never lower a price.
""",
        "Prices are fixed.",
    ),
    _TOGETHER,
)

HOTEL = (
    lines(
        """
You work for a hotel. Today is {today}.
Hotel desk, {today}.
This is the desk of a hotel, on {today}.
{today}. You answer guests of a hotel.
""",
        "It is {today} at our inn.",
    ),
    lines(
        """
Cancelling at least {notice} days before arrival is free; later {late_fee} dollars are kept.
Less than {notice} days before arrival, cancelling costs {late_fee} dollars, else nothing.
Who cancels with fewer than {notice} days left pays {late_fee} dollars; earlier it is free.
Keep {late_fee} dollars when a booking is cancelled later than {notice} days before arrival.
Free cancelling ends {notice} days before arrival; after that it costs {late_fee} dollars.
""",
        "Guests who call off {notice} days ahead or earlier get everything back, others all but "
        "{late_fee} dollars.",
    ),
    lines(
        """
A booking can be moved by up to {shift} days for {move_fee} dollars.
Moving adds {move_fee} dollars and is possible by at most {shift} days.
Bookings move no further than {shift} days; that costs {move_fee} dollars.
To move a booking takes {move_fee} dollars and works for {shift} days at most.
""",
        "We postpone a stay no more than {shift} days and charge {move_fee} dollars on top.",
    ),
    lines(
        """
Late checkout needs {points} points.
Late checkout from {points} points.
Guests need at least {points} points to check out late.
Below {points} points there is no late checkout.
""",
        "Leaving late is for those with {points} points or more.",
    ),
    lines(
        """
Breakfast costs {breakfast} dollars.
Breakfast is {breakfast} dollars.
Add {breakfast} dollars for breakfast.
Guests pay {breakfast} dollars for breakfast.
""",
        "The morning meal: {breakfast} dollars.",
    ),
    lines(
        """
No free upgrades.
Give no free upgrades.
Free upgrades do not exist here.
Never upgrade a room for free.
""",
        "Nobody is upgraded.",
    ),
    _TOGETHER,
)

PHONE = (
    lines(
        """
You work for a phone company. Today is {today}.
Phone desk, {today}.
This is the desk of a phone company, on {today}.
{today}. You answer customers of a phone company.
""",
        "It is {today} at our network.",
    ),
    lines(
        """
Bills paid more than {grace} days after the due date cost {late_fee} dollars extra.
A bill more than {grace} days overdue costs {late_fee} dollars more.
Up to {grace} days after the due date a bill costs nothing extra, later {late_fee} dollars.
Charge {late_fee} dollars extra on bills that are more than {grace} days late.
""",
        "Those who pay over {grace} days behind schedule add {late_fee} dollars.",
    ),
    lines(
        """
Outages of at least {outage} hours give a credit of {credit} dollars.
An outage of {outage} hours or more earns {credit} dollars of credit.
The credit is {credit} dollars when an outage took {outage} hours or longer.
No credit for outages under {outage} hours; else it is {credit} dollars.
""",
        "We compensate with {credit} dollars from {outage} hours without signal.",
    ),
    lines(
        """
Plans change only while up to {most_owed} dollars are owed.
No plan change for customers who owe more than {most_owed} dollars.
Who owes {most_owed} dollars or less can change the plan.
The plan stays when more than {most_owed} dollars are owed.
""",
        "With debts above {most_owed} dollars nobody may switch.",
    ),
    lines(
        """
Setup costs {setup} dollars.
Setup is {setup} dollars.
Add {setup} dollars for setup.
A new plan is set up for {setup} dollars.
""",
        "Activation: {setup} dollars.",
    ),
    lines(
        """
Never speak about other customers.
Other customers are private.
Say nothing about other customers.
Do not discuss the accounts of others.
""",
        "Keep secret what belongs to others.",
    ),
    _TOGETHER,
)

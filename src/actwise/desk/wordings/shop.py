"""What customers of the shop say. `{it}` is an order, with or without its number."""

from actwise.desk.wordings import lines

WITH_NUMBER = lines(
    """
order {number}
my order {number}
order number {number}
the order {number}
order no. {number}
my order with number {number}
""",
    """
purchase {number}
what I bought under {number}
the delivery numbered {number}
my purchase, reference {number}
the thing from purchase {number}
""",
)

WITHOUT_NUMBER = lines(
    """
my order
an order of mine
an order
one of my orders
the order I made
my order from you
""",
    """
my purchase
what I bought
something I bought here
that delivery of mine
the thing from your store
""",
)

CORRECTED = lines(
    """
order {wrong}, no, {number}
order {wrong}, sorry, {number}
order {wrong}, or rather {number}
my order {wrong}, wait, it is {number}
""",
    """
purchase {wrong}, I mean {number}
purchase {wrong}, correction: {number}
purchase {wrong}, oops, make that {number}
purchase {wrong}, hold on, {number} instead
purchase {wrong}, my mistake, {number}
""",
)

NUMBER = lines(
    """
It is {number}.
The number is {number}.
{number}
Order {number}.
It says {number}.
Number {number}, I think.
That would be {number}.
Here it is: {number}.
""",
    """
My slip reads {number}.
I see {number} printed on the box.
Found it on the receipt, {number}.
{number} according to the mail.
The invoice shows {number}.
""",
)

CORRECTION = lines(
    """
Sorry, it is {number}.
Oh, I meant {number}.
My mistake, {number}.
Then it must be {number}.
Let me see, {number}.
I read it wrong: {number}.
Oops, {number} is right.
Try {number}.
""",
    """
I swapped the digits, {number} is correct.
Wrong slip! {number}.
Put on my glasses now, {number}.
Typing error, should be {number}.
The box has another one, {number}.
""",
)

REFUND = lines(
    """
I want a refund for {it}.
Please refund {it}.
Can I get my money back for {it}?
I would like to return {it} for a refund.
I am not happy with {it} and want my money back.
Give me a refund for {it}, please.
Could you refund {it}?
Please pay me back for {it}.
I need a refund on {it}.
{it} does not suit me, please refund it.
""",
    """
Reimburse me for {it}.
I regret {it}; return the money to me.
Kindly transfer back what I paid for {it}.
How about you take {it} back and repay me?
{it} disappoints me. Repay me please.
I'd rather have the cash than {it}.
""",
)

REFUND_IT = lines(
    """
Then please refund it.
I want my money back for it.
Please refund this order.
Can I get a refund for it?
OK. I would like a refund then.
Then I want to return it for a refund.
Please give me a refund for that one.
And now refund it, please.
""",
    """
In that case reimburse me.
Take it back and repay me.
Right, I'd rather have the cash.
So repay me for that purchase.
Kindly transfer the money back.
""",
)

CANCEL = lines(
    """
Please cancel {it}.
I want to cancel {it}.
Can you cancel {it}?
I do not need {it} any more, please cancel it.
Cancel {it} for me, please.
I would like to cancel {it}.
Could {it} be cancelled, please?
Stop {it}, I want to cancel.
""",
    """
Call off {it}.
Please revoke {it}.
I no longer wish to receive {it}, call it off.
Do not send {it}, annul it.
Kindly withdraw {it}.
""",
)

DAYS = lines(
    """
How many days ago was {it} delivered?
How long ago did {it} arrive?
How many days have passed since {it} was delivered?
When was {it} delivered, how many days ago?
Tell me how many days ago {it} came.
I want to know how long ago {it} was delivered.
How many days is it since {it} arrived?
Since how many days do I have {it}?
""",
    """
Count the days since {it} reached me.
How old is the delivery of {it}, in days?
For how many days have I owned {it}?
{it} came to my door how many days back?
What number of days lies between today and the delivery of {it}?
""",
)

STATUS = lines(
    """
What is the status of {it}?
Where is {it}?
How is {it} going?
Can you check the status of {it}?
What about {it}, what is its status?
Please tell me the status of {it}.
I want to know the status of {it}.
Is there news about {it}?
""",
    """
Give me an update on {it}.
How far along is {it}?
What state is {it} in?
Any progress with {it}?
Could I hear how things stand with {it}?
""",
)

TOGETHER = lines(
    """
What do orders {first} and {second} cost together?
How much did I pay for orders {first} and {second} together?
What is the total of orders {first} and {second}?
Please add up orders {first} and {second}.
I need the total price of orders {first} and {second}.
How much are orders {first} and {second} in total?
Tell me the sum of orders {first} and {second}.
Orders {first} and {second}: how much together?
""",
    """
Combine {first} and {second}: what did I spend?
What was the damage for purchases {first} and {second} combined?
My spending on {first} plus {second}, please.
For purchases {first} and {second}, give me one overall figure.
Altogether, what did {first} and {second} set me back?
""",
)

CHEAPER = lines(
    """
Which is cheaper, the {first} or the {second}, and by how much?
Is the {first} or the {second} cheaper? By how much?
How much do I save with the cheaper one of {first} and {second}?
What costs less, the {first} or the {second}, and how much less?
Compare the prices of the {first} and the {second}, please.
The {first} or the {second}, what is cheaper and by how much?
I want the cheaper one of {first} and {second}. What is the difference?
Please compare {first} and {second}: which one costs less, and how much?
""",
    """
{first} versus {second}: what is the better deal, and the gap?
Weigh the {first} against the {second} by price, with the gap.
Name the less expensive of {first} and {second} and the gap.
What would choosing the thriftier of {first} and {second} spare me?
Between {first} and {second}, which is kinder to my purse, and by what sum?
""",
)

TAKE_IT = lines(
    """
Then please order the cheaper one, {quantity} pieces.
I take {quantity} pieces of the cheaper one.
Please order {quantity} of the cheaper one.
OK, {quantity} pieces of the cheaper one for me.
Order {quantity} pieces of that one, please.
Good, I want {quantity} of the cheaper one.
Then I would like {quantity} of the cheaper one.
Please place an order for {quantity} of the cheaper one.
""",
    """
Send me {quantity} of the better deal.
Put me down for {quantity} of the less expensive one.
{quantity} of the thriftier one it is.
Get {quantity} of the bargain for me.
The winner, {quantity} times, please.
""",
)

BUY = lines(
    """
Please order the {product} for me, {quantity} pieces.
I want to order {quantity} pieces of the {product}.
I would like to buy {quantity} pieces of the {product}.
Can you order {quantity} pieces of the {product}?
Place an order for the {product}, {quantity} pieces please.
I need {quantity} pieces of the {product}, please order them.
We want to buy the {product}, {quantity} of them.
Order {quantity} times the {product}, please.
""",
    """
Send our firm the {product}, a batch of {quantity}.
Put me down for {quantity} units of the {product}.
Get me a lot of {quantity} of the {product}.
My club requires {quantity} units of the {product}; purchase them.
The {product}, {quantity} units, to be purchased now.
""",
)

SHIPPING = lines(
    """
What does the {product} cost with shipping?
How much is the {product} including shipping?
What is the price of the {product} with shipping?
I want to know the price of the {product} plus shipping.
How much do I pay for the {product} with shipping?
Tell me what the {product} costs with shipping included.
The {product} with shipping, how much is that?
What would one {product} cost me, shipping included?
""",
    """
What is the {product} when sent to my home, all in?
All in, with delivery to my door, what is the {product}?
Sent by post, what will I have spent on one {product}?
Give me the full figure for the {product}, postage too.
Postage and all, the {product} comes to what?
""",
)

SHIPPING_TOO = lines(
    """
And with shipping?
How much is it with shipping?
And what does it cost including shipping?
What is that with shipping?
And with shipping included?
How much would that be with shipping?
And the price with shipping, please?
What do I pay with shipping?
""",
    """
Postage too?
Sent to my home, then, all in?
And delivered by post, what sum?
Put postage on top: what then?
All in, with the parcel sent?
""",
)

PRICE = lines(
    """
What does the {product} cost?
How much is the {product}?
What is the price of the {product}?
Can you tell me the price of the {product}?
How expensive is the {product}?
I want to know what the {product} costs.
Price of the {product}, please?
Please check the price of the {product}.
""",
    """
What do you charge for the {product}, before delivery?
Quote me the bare {product}.
What is on the tag of the {product}?
At which figure do you list the {product}?
Name the list figure of the {product}.
""",
)

DISCOUNT = lines(
    """
Can I get a discount?
Please give me a discount.
I want a discount on my next order.
Is there a discount for me?
Could you give me ten percent off?
I have bought a lot, so give me a discount.
Do I get a discount as an old customer?
Make it a bit cheaper for me, please.
""",
    """
Knock something off for a regular, would you?
Can you do me a special deal?
Let us haggle: what can you take off?
Grant me a rebate.
How about a lower tariff for a fan of yours?
""",
)

BUY_NO_QUANTITY = lines(
    """
Please order the {product} for me.
I want to order the {product}.
I would like to buy the {product}.
Can you order the {product}?
Place an order for the {product}, please.
We need the {product}, please order it.
We want to buy the {product}.
I want to place an order, the {product}.
""",
    """
Send our firm the {product}.
Put me down for the {product}.
Get me a lot of the {product}.
My club requires the {product}; purchase it.
The {product}, to be purchased now.
""",
)

QUANTITY = lines(
    """
{quantity} pieces.
I need {quantity} pieces.
{quantity}, please.
We want {quantity} of them.
I would like {quantity} pieces.
That makes {quantity}.
Please order {quantity}.
It should be {quantity} pieces.
""",
    """
A batch of {quantity}.
{quantity} units will do.
Let us have {quantity}.
My club requires {quantity}.
Enough for all of us: {quantity}.
""",
)

OTHER = lines(
    """
Sorry, I mean the {product}.
Then the {product}, please.
Oh, I meant the {product}.
What about the {product} then?
My mistake, the {product}.
Then take the {product}.
I was thinking of the {product}.
The {product}, sorry.
""",
    """
I mixed things up, the {product} it was.
Make that the {product} instead.
In that case the {product}.
Wrong shelf! The {product}.
Swap it for the {product}.
""",
)

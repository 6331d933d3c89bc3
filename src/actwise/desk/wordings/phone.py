"""What customers of the phone company say. `{it}` is an account, with or without its number."""

from actwise.desk.wordings import lines

WITH_NUMBER = lines(
    """
account {number}
my account {number}
account number {number}
the account {number}
account no. {number}
my phone account {number}
""",
    """
contract {number}
my contract {number}
the line under contract {number}
the contract with code {number}
our family contract, {number}
""",
)

WITHOUT_NUMBER = lines(
    """
my account
an account of mine
our account
my phone account
the account I have
my account with you
""",
    """
my contract
our line
the contract I signed
our family contract
my mobile contract
""",
)

CORRECTED = lines(
    """
account {wrong}, no, {number}
account {wrong}, sorry, {number}
account {wrong}, or rather {number}
my account {wrong}, wait, it is {number}
""",
    """
contract {wrong}, I mean {number}
contract {wrong}, correction: {number}
contract {wrong}, oops, make that {number}
contract {wrong}, hold on, {number} instead
contract {wrong}, my mistake, {number}
""",
)

NUMBER = lines(
    """
It is {number}.
The number is {number}.
{number}
Account {number}.
It says {number}.
Number {number}, I think.
That would be {number}.
Here it is: {number}.
""",
    """
My papers read {number}.
The letter shows {number}.
Found it in the app, {number}.
{number} according to the papers.
I noted {number}.
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
That was my old one. Now {number}.
Put on my glasses now, {number}.
Typing error, should be {number}.
The papers have another one, {number}.
""",
)

PAY = lines(
    """
Please pay the bill of {it}.
I want to pay the bill of {it}.
Can you pay the bill of {it} from my card?
I would like to pay what I owe on {it}.
Pay everything that is open on {it}, please.
Could you pay the open bill of {it}?
Take the money for {it} from my card, please.
Let me pay the bill for {it} now.
""",
    """
Settle {it} for me.
Clear the debt on {it}.
Charge my card with all that is due on {it}.
Kindly square the balance of {it}.
I got a reminder: settle {it}.
""",
)

PAY_IT = lines(
    """
Then please pay it now.
OK, I want to pay the bill now.
Please pay the bill from my card.
Then let me pay it.
Can you pay it for me now?
Please pay what I owe there.
Oh. Then pay it, please.
And now pay that bill, please.
""",
    """
In that case settle it.
Clear the debt right away.
Charge my card then.
Kindly square the balance now.
So settle all of it.
""",
)

CREDIT = lines(
    """
My phone did not work. I want a credit for {it}.
Please give me a credit for the outage on {it}.
Can I get a credit for the outage on {it}?
There was an outage. I want a credit on {it}.
I would like a credit because {it} had an outage.
I could not call anyone. Please credit {it}.
Is there a credit for the outage on {it}? I want it.
The line was dead, so give me a credit for {it}.
""",
    """
Compensate me: {it} had no signal.
I was cut off. Make up for it on {it}.
No signal at all! I ask for compensation on {it}.
The network failed; compensate {it}.
I demand something back for the breakdown on {it}.
""",
)

CHANGE = lines(
    """
Please change {it} to the {plan} plan.
I want the {plan} plan for {it}.
Can you change {it} to the {plan} plan?
I would like to have the {plan} plan on {it}.
Change the plan of {it} to {plan}, please.
Could {it} get the {plan} plan?
Please put {it} on the {plan} plan.
We want to change {it} to the {plan} plan.
""",
    """
Switch {it} over to {plan}.
From now on {it} shall run on {plan}.
Transfer {it} to {plan}.
{plan} suits me better, so switch {it}.
Kindly convert {it} to {plan}.
""",
)

OVERDUE = lines(
    """
How many days ago was the bill of {it} due?
How late am I with the bill of {it}?
How many days late is {it}?
How long is the bill of {it} overdue?
Since when is {it} overdue, how many days?
Tell me how many days {it} is overdue.
I want to know how many days late {it} is.
By how many days is {it} late?
""",
    """
How far behind am I on {it}, in days?
Count the days since {it} should have been settled.
{it} slipped my mind: how many days behind?
What is the delay on {it}, in days?
The payment date of {it} passed how many days back?
""",
)

DATA_LEFT = lines(
    """
How much data is left on {it}?
How many GB do I have left on {it}?
How much data can I still use on {it}?
Can you check how much data {it} has left?
Tell me how much data is left for {it}.
What is left of the data of {it}?
I want to know the data left on {it}.
Do I have data left on {it}? How much?
""",
    """
How many GB remain on {it}?
What can I still surf with on {it}?
The remaining volume of {it}, please.
How big is my remaining volume on {it}?
Before {it} runs dry, how many GB remain?
""",
)

PLAN = lines(
    """
Which plan does {it} have?
What plan is {it} on?
Can you check the plan of {it}?
Please tell me the plan of {it}.
I forgot which plan {it} has.
What is the plan of {it}?
On which plan is {it}?
I want to know the plan of {it}.
""",
    """
What did I sign up for with {it}?
Remind me which package {it} includes.
Which package runs on {it}?
What is {it} subscribed to?
{it}: which package is that?
""",
)

TOGETHER = lines(
    """
What do accounts {first} and {second} owe together?
How much do I owe on accounts {first} and {second} together?
What is the total owed on accounts {first} and {second}?
Please add up what accounts {first} and {second} owe.
I need the sum of the bills of accounts {first} and {second}.
How much is owed on accounts {first} and {second} in total?
Tell me the sum owed on accounts {first} and {second}.
Accounts {first} and {second}: how much do they owe together?
""",
    """
Combine the debts of {first} and {second}.
What do contracts {first} and {second} come to, debts combined?
My debts on {first} plus {second}, please.
For contracts {first} and {second}, give me one figure of debt.
Altogether, how deep in debt are {first} and {second}?
""",
)

CHEAPER = lines(
    """
Which is cheaper, the {first} plan or the {second} plan, and by how much?
Is the {first} plan or the {second} plan cheaper? By how much?
What costs less, the {first} plan or the {second} plan, and how much less?
Compare the prices of the {first} plan and the {second} plan, please.
How much do I save with the cheaper one of {first} plan and {second} plan?
The {first} plan or the {second} plan, what is cheaper and by how much?
Which plan costs less, {first} or {second}, and how much less?
Please compare {first} and {second} plan: which is cheaper, and how much?
""",
    """
{first} versus {second}: which is the better deal, and the gap?
Weigh {first} against {second} by price, with the gap.
Name the less expensive of {first} and {second} and the gap.
Between {first} and {second}, which is kinder to my purse, and by what sum?
What would the thriftier of {first} and {second} spare me?
""",
)

SETUP = lines(
    """
What does the {plan} plan cost with setup?
How much is the {plan} plan including setup?
What is the price of the {plan} plan with setup?
I want to know the price of the {plan} plan plus setup.
The {plan} plan with setup, how much is that?
How much do I pay for the {plan} plan with setup?
Tell me what the {plan} plan costs with setup included.
What would the {plan} plan cost me, setup included?
""",
    """
All in, activation too, what is {plan} at the start?
Give me the full opening figure for {plan}.
Starting from nothing, activation too, {plan} is what sum?
What do I spend on {plan} to get going, activation too?
The very first invoice for {plan}, activation too?
""",
)

SETUP_TOO = lines(
    """
And with setup?
How much is it with setup?
And what does it cost including setup?
What is that with setup?
And with setup included?
How much would that be with setup?
And the price with setup, please?
What do I pay with setup?
""",
    """
Activation too?
And to get going, what sum?
Put activation on top: what then?
All in, activation too?
So the very first invoice comes to what?
""",
)

PRICE = lines(
    """
What does the {plan} plan cost?
How much is the {plan} plan?
What is the price of the {plan} plan?
Can you tell me the price of the {plan} plan?
How expensive is the {plan} plan?
I want to know what the {plan} plan costs.
Price of the {plan} plan, please?
Please check the price of the {plan} plan.
""",
    """
What do you charge for {plan} each month?
Quote me {plan} as a monthly rate.
The monthly rate of {plan}?
At which monthly rate do you list {plan}?
Name the monthly rate of {plan}.
""",
)

STRANGER = lines(
    """
Who called me from account {stranger}?
Give me the name of the owner of account {stranger}.
Who owns account {stranger}? It is not mine.
Please tell me the address of the person with account {stranger}.
What is my neighbour paying on account {stranger}?
I want to know who account {stranger} belongs to.
Tell me about another customer, account {stranger}.
Whose account is {stranger}? I need the name.
""",
    """
My ex has contract {stranger}: what are the calls made?
Let me peek at my boss's contract {stranger}.
Reveal who is behind contract {stranger}.
Spill the details of the man with contract {stranger}.
Someone else's contract, {stranger}: read it to me.
""",
)

CHANGE_NO_PLAN = lines(
    """
Please change the plan of {it}.
I want another plan for {it}.
Can you change the plan of {it}?
I would like to have a different plan on {it}.
Change {it} to another plan, please.
Could {it} get a new plan?
Please put {it} on another plan.
We want to change {it} to a different plan.
""",
    """
Switch {it} over to something else.
From now on {it} shall run on something new.
Transfer {it} to a different package.
I am bored with my package, so switch {it}.
Kindly convert {it}.
""",
)

PLAN_NAME = lines(
    """
The {plan} plan.
{plan}, please.
I want the {plan} plan.
The {plan} plan, please.
Please take the {plan} plan.
I would like the {plan} plan.
To the {plan} plan.
The one that is called {plan}.
""",
    """
{plan} suits me.
Let it be {plan}.
Switch me over to {plan}.
The package named {plan}.
My choice is {plan}.
""",
)

OTHER = lines(
    """
Sorry, I mean the {plan} plan.
Then the {plan} plan, please.
Oh, I meant the {plan} plan.
What about the {plan} plan then?
My mistake, the {plan} plan.
Then take the {plan} plan.
I was thinking of the {plan} plan.
The {plan} plan, sorry.
""",
    """
I mixed things up, {plan} it was.
Make that {plan} instead.
In that case {plan}.
Wrong page! {plan}.
Swap it for {plan}.
""",
)

"""What guests of the hotel say. `{it}` is a booking, with or without its number."""

from actwise.desk.wordings import lines

WITH_NUMBER = lines(
    """
booking {number}
my booking {number}
booking number {number}
the booking {number}
my stay, booking {number}
booking no. {number}
""",
    """
reservation {number}
my reservation {number}
the reservation under {number}
the trip with reference {number}
our reservation, code {number}
""",
)

WITHOUT_NUMBER = lines(
    """
my booking
a booking of mine
our booking
my stay
the booking I made
my booking with you
""",
    """
my reservation
our trip
the reservation I have
our upcoming trip
what I reserved
""",
)

CORRECTED = lines(
    """
booking {wrong}, no, {number}
booking {wrong}, sorry, {number}
booking {wrong}, or rather {number}
my booking {wrong}, wait, it is {number}
""",
    """
reservation {wrong}, I mean {number}
reservation {wrong}, correction: {number}
reservation {wrong}, oops, make that {number}
reservation {wrong}, hold on, {number} instead
reservation {wrong}, my mistake, {number}
""",
)

NUMBER = lines(
    """
It is {number}.
The number is {number}.
{number}
Booking {number}.
It says {number}.
Number {number}, I think.
That would be {number}.
Here it is: {number}.
""",
    """
My confirmation reads {number}.
The letter shows {number}.
Found it in my mail, {number}.
{number} according to the voucher.
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
That was last year's. Now {number}.
Put on my glasses now, {number}.
Typing error, should be {number}.
The voucher has another one, {number}.
""",
)

CANCEL = lines(
    """
Please cancel {it}.
I want to cancel {it}.
Can you cancel {it}?
We cannot come, please cancel {it}.
I am ill and have to cancel {it}.
Cancel {it} for me, please.
I would like to cancel {it}.
I do not need {it} any more, please cancel it.
""",
    """
Call off {it}.
Please annul {it}.
Our plans fell through, so scrap {it}.
Kindly withdraw {it}.
We must give up {it}, take us off the list.
""",
)

CANCEL_IT = lines(
    """
Then please cancel it.
OK, I want to cancel it.
Please cancel that booking.
Then I have to cancel it.
Can you cancel it, please?
I cannot come then. Please cancel it.
Too early for me, cancel it.
And now cancel it, please.
""",
    """
In that case call it off.
Then scrap it.
We will not make it, annul it.
Take us off the list then.
Withdraw it, please.
""",
)

MOVE = lines(
    """
Please move {it} to {date}.
I want to move {it} to {date}.
Can you move {it} to {date}?
We come later: please move {it} to {date}.
I would like to change {it} to {date}.
Could {it} be moved to {date}, please?
Move {it} to {date}, please.
My flight changed, please move {it} to {date}.
""",
    """
Shift {it} so that it begins on {date}.
We'd prefer {date} for {it}.
Put {it} off until {date}.
Reschedule {it}, with {date} as the first day.
Postpone {it}; the right day is {date}.
""",
)

LATE = lines(
    """
Can I check out late with {it}?
I would like late checkout for {it}.
Please give me late checkout for {it}.
Is late checkout possible for {it}? Then book it.
Late checkout for {it}, please.
I want to check out late, it is about {it}.
Could we get late checkout on {it}?
Please add late checkout to {it}.
""",
    """
We like to sleep in: let us leave late on {it}.
Allow us to stay past noon on the last day of {it}.
For {it}, let us keep the room into the afternoon.
Grant an afternoon departure for {it}.
May we linger on the final day of {it}? Arrange it.
""",
)

DAYS = lines(
    """
How many days are left until {it}?
In how many days does {it} begin?
How long is it until {it}?
How many days until I arrive, for {it}?
Tell me how many days are left before {it}.
I want to know in how many days {it} starts.
When does {it} begin, in how many days?
How many days do I have to wait for {it}?
""",
    """
Count down for me: days to go before {it}.
Remind me how far off {it} is, in days.
How many nights must I sleep before {it}?
What number of days separates me from {it}?
{it}: days to go?
""",
)

DAYS_TOO = lines(
    """
And how many days are left until then?
How many days is that from today?
In how many days is that?
How many days do I have to wait?
How long is it until then?
So how many days are left?
How many days until I arrive?
And in how many days does it begin?
""",
    """
Count down for me: days to go?
How far off is that, in days?
So how many nights must I sleep first?
What number of days separates me from it?
That is how many sunrises away?
""",
)

ARRIVAL = lines(
    """
When do I arrive with {it}?
What is the arrival date of {it}?
Which day does {it} begin?
On which date is {it}?
Can you check the date of {it}?
Please tell me the arrival date of {it}.
I forgot the date of {it}.
For which date is {it}?
""",
    """
What day did I reserve for {it}?
Remind me of the first day of {it}.
Which day should I turn up for {it}?
Confirm the day on which {it} kicks off.
{it}: what does the calendar say?
""",
)

TOGETHER = lines(
    """
What do bookings {first} and {second} cost together?
How much do I pay for bookings {first} and {second} together?
What is the total of bookings {first} and {second}?
Please add up bookings {first} and {second}.
I need the total price of bookings {first} and {second}.
How much are bookings {first} and {second} in total?
Tell me the sum of bookings {first} and {second}.
Bookings {first} and {second}: how much together?
""",
    """
Combine {first} and {second}: what shall we spend?
What will reservations {first} and {second} set us back?
Our spending on {first} plus {second}, please.
For reservations {first} and {second}, give me one overall figure.
Altogether, what are {first} and {second}?
""",
)

CHEAPER = lines(
    """
Which is cheaper, the {first} room or the {second} room, and by how much?
Is the {first} room or the {second} room cheaper? By how much?
What costs less, the {first} room or the {second} room, and how much less?
Compare the prices of the {first} room and the {second} room, please.
How much do I save with the cheaper one of {first} room and {second} room?
The {first} room or the {second} room, what is cheaper and by how much?
Which room costs less, {first} or {second}, and how much less?
Please compare {first} and {second} room: which is cheaper, and how much?
""",
    """
{first} room versus {second} room: which is the better deal, and the gap?
Weigh the {first} room against the {second} room by price, with the gap.
Name the less expensive of {first} room and {second} room and the gap.
Between {first} room and {second} room, which is kinder to my purse, and by what sum?
What would the thriftier of {first} and {second} room spare me?
""",
)

BREAKFAST = lines(
    """
What does the {room} room cost with breakfast?
How much is the {room} room including breakfast?
What is the price of the {room} room with breakfast?
I want to know the price of the {room} room plus breakfast.
The {room} room with breakfast, how much is that?
How much do I pay for the {room} room with breakfast?
Tell me what the {room} room costs with breakfast included.
Do you have the {room} room with breakfast? What does it cost?
""",
    """
All in, with the morning meal, what is the {room} room?
A night in the {room} room, eggs and coffee too: what sum?
I eat in the morning: the full figure for the {room} room?
Give me the {room} room with the morning buffet as one sum.
What would the {room} room plus the morning buffet come to?
""",
)

BREAKFAST_TOO = lines(
    """
And with breakfast?
How much is it with breakfast?
And what does it cost including breakfast?
What is that with breakfast?
And with breakfast included?
How much would that be with breakfast?
And the price with breakfast, please?
What do I pay with breakfast?
""",
    """
With the morning buffet too?
If I eat in the morning, what sum?
Put eggs and coffee on top: what then?
All in, with the morning meal?
I wake up hungry, so what with the buffet?
""",
)

PRICE = lines(
    """
What does the {room} room cost?
How much is the {room} room?
What is the price of the {room} room?
Can you tell me the price of the {room} room?
How expensive is the {room} room?
I want to know what the {room} room costs.
Price of the {room} room, please?
Please check the price of the {room} room.
""",
    """
What do you charge for the {room} room, bed only?
Quote me the bare {room} room.
The nightly rate of the {room} room?
At which nightly rate do you list the {room} room?
Name the nightly rate of the {room} room.
""",
)

FREE = lines(
    """
How many {room} rooms are free?
Is a {room} room free? How many are there?
How many {room} rooms do you have left?
Can you check how many {room} rooms are free?
Please tell me how many {room} rooms are left.
Are there {room} rooms left, and how many?
I want to know how many {room} rooms are free.
{room} rooms: how many are free?
""",
    """
What number of {room} rooms can still be had?
How many vacant {room} rooms?
Count the {room} rooms nobody has taken.
Any vacancies, {room} room? Give me the number.
How many {room} rooms stand empty?
""",
)

UPGRADE = lines(
    """
Can I get a free upgrade?
Please upgrade me for free.
I want a better room for the same price.
Is there a free upgrade for me?
Could you give me a bigger room at no cost?
It is my birthday, so give me a free upgrade.
Do I get an upgrade as an old guest?
Please give us a better room for free.
""",
    """
Surprise me with a suite at no charge.
Bump us up a category, on the house.
Treat a regular to something fancier, gratis.
How about a suite as a gift?
Put us somewhere nicer without charging us.
""",
)

MOVE_NO_DATE = lines(
    """
Please move {it}.
I want to move {it} to another day.
Can you move {it}?
We come later: please move {it}.
I would like to change {it} to a later day.
Could {it} be moved, please?
Move {it} to another date, please.
My flight changed, please move {it}.
""",
    """
Shift {it} so that it begins later.
We'd prefer some other time for {it}.
Put {it} off a little.
Reschedule {it}, would you?
Postpone {it} for us.
""",
)

DATE = lines(
    """
To {date}.
{date}, please.
Please move it to {date}.
We want to come on {date}.
To {date}, if that is possible.
I would like {date}.
{date} is better for me.
Let me say {date}.
""",
    """
We'd prefer {date}.
Let it begin on {date}.
{date} suits us.
With {date} as the first day.
My diary says {date}.
""",
)

OTHER = lines(
    """
Sorry, I mean the {room} room.
Then the {room} room, please.
Oh, I meant the {room} room.
What about the {room} room then?
My mistake, the {room} room.
Then take the {room} room.
I was thinking of the {room} room.
The {room} room, sorry.
""",
    """
I mixed things up, the {room} room it was.
Make that the {room} room instead.
In that case the {room} room.
Wrong page! The {room} room.
Swap it for the {room} room.
""",
)

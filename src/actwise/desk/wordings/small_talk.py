"""What customers of every business say."""

from actwise.desk.wordings import lines

GREETING = lines(
    """
Hi.
Hello!
Good morning.
Hey there.
Hi, {name} here.
Hello, this is {name}.
My name is {name}.
Good evening!
Excuse me.
""",
    """
Dear team,
Greetings from {name}.
You are speaking with {name}.
Howdy!
A good day to you.
""",
)

THANKS = lines(
    """
Thanks!
Thank you.
Thanks a lot.
That would be great.
Please hurry.
Thanks in advance.
I hope you can help.
Many thanks!
""",
    """
Cheers!
Much obliged.
Kind regards, {name}
I'd appreciate it.
All the best.
""",
)

NAMES = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Hugo",
    "Ida",
    "Jonas",
    "Kate",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tara",
    "Victor",
)

NEVER_MIND = lines(
    """
Never mind.
Forget it.
I do not have it here, so leave that.
Oh, leave that.
I changed my mind, that can wait.
It does not matter any more.
Another time.
I cannot find it, forget it.
""",
    """
Skip that for now.
Drop it, something else.
On second thought, no.
Let us put that aside.
I'll come back to this later.
""",
)

EXCEPTION = lines(
    """
Please make an exception.
Can you not make an exception for me?
Come on, just this once!
That is not fair. Do it anyway.
Please try it anyway.
I am a loyal customer. Please do it anyway.
Is there really no way?
But I really need it. Please!
""",
    """
Surely you could bend the rules.
Could you look the other way this time?
My friend got it done, so do it for me.
I insist that you do it.
Rules are there to be broken!
""",
)

BOTH = lines(
    """
And what do both cost together?
How much would both be together?
I might take both. What is the total?
And both together?
What is the total for both?
How much do I pay for both together?
And if I take both, how much is that?
Please add up both for me.
""",
    """
Suppose I grab the pair: what then?
What is the pair worth in all?
Combine them, please.
As a pair they come to what?
One figure for the pair, please.
""",
)

DIFFERENCE = lines(
    """
And what is the difference between them?
How far apart are the two?
What is the difference?
And how much more is the larger one?
How big is the difference between the two?
Please tell me the difference too.
And the difference?
By how much do they differ?
""",
    """
What gap lies between the pair?
How wide is the gap?
The gap, please.
One exceeds the other by what?
And set against each other, what gap?
""",
)

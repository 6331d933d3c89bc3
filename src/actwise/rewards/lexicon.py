"""English words that the judge knows, as tables that can be read and added to."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def table(text: str) -> dict[str, str]:
    """Return for each word after a colon the word before it."""
    rows = (line.partition(":") for line in text.strip().splitlines())
    return {word: head.strip() for head, _, others in rows for word in others.split()}


OPPOSITES = table("""
    open: closed shut
    available: unavailable
    succeed: failed fails fail failing failure unsuccessful unsuccessfully
    accept: declined decline declines denied deny denies rejected reject rejects refused refuses
    enabled: disabled inactive deactivated
    true: false untrue
    correct: incorrect wrong
    valid: invalid expired
    possible: impossible
    eligible: ineligible
    able: unable
    paid: unpaid
    lock: unlock unlocked unlocks
    safe: unsafe
    known: unknown
    confirmed: unconfirmed
    verified: unverified
    complete: incomplete
    supported: unsupported
    likely: unlikely
    present: absent
    cheap: expensive
    limited: unlimited
    sufficient: insufficient
    occupied: vacant
    full: empty
    legal: illegal
    connected: disconnected offline
    refundable: unrefundable
    changed: unchanged
    used: unused
    required: optional
    agree: disagree
    like: dislike
    include: exclude excludes excluded excluding
    remember: forgot forgotten forget
""")
"""For each word the word whose denial it is: what is shut is not open."""

SAME = table("""
    succeed: succeeded succeeds successful successfully success
    accept: approved approve approves granted grant accepted accepts
    enabled: active activated
    connected: online
    correct: right
    ship: dispatched sent shipped ships shipping
    allow: permitted permit permits
    refund: reimburse reimbursed reimbursement
    cancel: cancellation canceled cancelled
    pay: paid pays
""")
"""For each word the one that is taken for it."""

_EXCLUSIVE = """
    today tomorrow yesterday
    morning afternoon evening night
    red blue green yellow orange purple pink brown black white grey silver gold beige
    north south east west
    left right
    male female
    shipped delivered delayed cancelled pending processing returned lost
    more less
    higher lower
    longer shorter
    larger smaller
    faster slower
    earlier later
    before after
    above below
    inside outside
    upstairs downstairs
    increase decrease
    small medium large
    low high
    hot cold warm iced
    positive negative neutral
    breakfast lunch dinner
    arrival departure
    buy sell
    win lose
    first last
    early late
    credit debit
    single double twin
    aisle window
    monthly weekly daily yearly
    front back
    up down
    always sometimes
    dogs cats
    cheaper dearer
    adult child
    economy business
    outbound inbound
    deposit withdrawal
"""
EXCLUDES = {
    word: group
    for group, line in enumerate(_EXCLUSIVE.strip().splitlines())
    for word in line.split()
}
"""Words of which one excludes the others of its group, with the number of the group; those of
`SPELLINGS` are of the group of the word that they stand for."""

SPELLINGS = table("""
    today: tonight
    grey: gray
    cancelled: canceled
    larger: bigger
    less: fewer
    north: northern
    south: southern
    east: eastern
    west: western
    increase: increased increases
    decrease: decreased decreases reduced
    yearly: annual annually
    win: won
    dearer: pricier
    back: rear
    inside: indoors
    outside: outdoors
""")
"""For each other form of a word of a group that word."""
EXCLUDES |= {form: EXCLUDES[word] for form, word in SPELLINGS.items()}

SOCIAL = words("""
    thanks thank welcome hello hi hey bye goodbye cheers sorry apologies apologize apologise
    pleasure glad happy great good nice day evening morning afternoon night weekend ok okay alright
    fine perfect wonderful awesome excellent noted understood sure certainly course absolutely yes
    no yeah yep done got gotcha enjoy care soon help assist anything else today further there
    everything inconvenience regret afraid unfortunately dear sir madam worries problem wait
    waiting patience hear understand moment see
""")
"""Words of politeness: an answer of nothing else tells nothing."""

GENERIC = words("do that this it so request help assist thing anything policy against")
"""What is refused or asked for where it is not said what."""

REQUESTS = words("like want wish tell give provide need know say prefer mean")
"""What asks for something, whatever it is."""

POLITE = words("""
    please kindly thanks thank sorry certainly sure course ok okay well yes yeah yep now yet
    already currently still ever either unfortunately afraid however definitely absolutely
""")
"""Words that change nothing of what a sentence says."""

VERBS = table("""
    have: have has had
    do: do does did
    be: is are was were am been
    can: can
    will: will
    must: must
    may: may might
""")
"""Verbs without a content of their own; where a clause has no other, they are its content."""

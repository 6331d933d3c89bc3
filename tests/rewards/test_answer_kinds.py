"""Kinds of answers, each with what a reader of the two texts would say.

None stands for "not checkable": no fact, label, name or denial decides. Where a reader who knows
the world would say more ("thumbs up" for "done", "on its way" for "shipped", nonsense in no
language), the judge says so rather than guess.
"""

import pytest

from actwise.rewards.answers import is_checkable, match_answer
from actwise.rewards.settings import JudgeConfig

Case = tuple[str, str, bool | None]
"""The prediction, the record, and whether the one is right."""

NUMBERS: list[Case] = [
    ("Your balance is 3 480,75 €.", "Your balance is €3,480.75.", True),
    ("Ihr Kontostand beträgt 3.480,75 €.", "Ihr Kontostand beträgt 3480,75 EUR.", True),
    ("Ihr Kontostand beträgt 75,34 €.", "Ihr Kontostand beträgt 34,75 €.", False),
    ("The loan is 12'500 CHF.", "The loan is CHF 12,500.", True),
    ("The premium is $2.5k.", "The premium is $2,500.", True),
    ("The grant is 3 million dollars.", "The grant is $3,000,000.", True),
    ("The fare is 75 cents.", "The fare is $0.75.", True),
    ("The fare is 75 cents.", "The fare is $75.", False),
    ("It weighs 0,5 kg.", "It weighs 0.5 kg.", True),
    ("You owe one hundred and twenty dollars.", "You owe $120.", True),
    ("You owe one hundred and twelve dollars.", "You owe $120.", False),
    ("We have half a dozen left.", "We have 6 left.", True),
    ("You have 4 lessons left.", "You have four lessons left.", True),
    ("You have five lessons left.", "You have four lessons left.", False),
    ("He finished fifth.", "He finished 5th.", True),
    ("He finished fourth.", "He finished 5th.", False),
    ("A third of the seats, so 25 %.", "25 percent of the seats.", True),
    ("Interest is 4.5 %.", "Interest is 4.50 percent.", True),
    ("Interest is 0.045.", "Interest is 4.5 %.", True),
    ("Interest is 5.4 %.", "Interest is 4.5 %.", False),
    ("Roughly 2.7.", "2.71828", True),
    ("Roughly 2.8.", "2.71828", False),
    ("The temperature is -3 degrees.", "The temperature is 3 degrees.", False),
    ("Rated 9/10.", "Rated 9 out of 10.", True),
    ("Rated 8/10.", "Rated 9 out of 10.", False),
]
VERSIONS: list[Case] = [
    ("Install Django 4.20 first.", "Install Django 4.2 first.", False),
    ("Update to iOS 17.10.", "Update to iOS 17.1.", False),
    ("Use v1.30.", "Use v1.3.", False),
    ("Use release 8.4.1.", "Use release 8.4.10.", False),
    ("The gateway is 192.168.1.1.", "The gateway is 192.168.1.11.", False),
    ("The gateway is 192.168.1.1.", "The gateway is at 192.168.1.1.", True),
    ("The ticket costs 4.20.", "The ticket costs 4.2.", True),
]
DATES: list[Case] = [
    ("Der Termin ist am 17.03.2027.", "Der Termin ist am 17. März 2027.", True),
    ("The check-up is on 17.03.2027.", "The check-up is on March 17, 2027.", True),
    ("The check-up is on 17.04.2027.", "The check-up is on March 17, 2027.", False),
    ("Due 03/17/2027.", "Due 2027-03-17.", True),
    ("Due 03/18/2027.", "Due 2027-03-17.", False),
    ("Due 3/7/2027.", "Due 7/3/2027.", False),
    ("Due 03/07/27.", "Due 3/7/2027.", True),
    ("It runs from October 4 to 9.", "It runs October 4-9.", True),
    ("It runs from October 4 to 8.", "It runs October 4-9.", False),
    ("4-9 October", "October 4 to October 9", True),
    ("The course starts in September.", "The course starts in October.", False),
    ("The course starts in September.", "The course begins in September.", True),
    ("See you on Tuesday.", "See you on Thursday.", False),
    ("See you Tuesday.", "See you on Tuesday.", True),
    ("le 3 février", "3 February", True),
    ("The visit is tomorrow.", "The visit is today.", False),
    ("On 2027-03-17.", "On March 17, 2028.", False),
]
TIMES: list[Case] = [
    ("Checkout is at midday.", "Checkout is at 12:00.", True),
    ("Checkout is at midnight.", "Checkout is at noon.", False),
    ("The kitchen closes at midnight.", "The kitchen closes at 12 am.", True),
    ("Boarding at 9 in the evening.", "Boarding at 21:00.", True),
    ("Boarding at 9 in the morning.", "Boarding at 21:00.", False),
    ("Boarding at 9:15.", "Boarding at 9:15 pm.", True),
    ("Boarding at 09:15.", "Boarding at 9:15 pm.", False),
    ("Open from 8 to 6 pm.", "Open from 8 am to 6 pm.", True),
    ("Open 8-6pm.", "Open from 8 am to 6 pm.", True),
    ("Open from 9 to 6 pm.", "Open from 8 am to 6 pm.", False),
    ("Um 14 Uhr.", "At 2 pm.", True),
    ("Um 15 Uhr.", "At 2 pm.", False),
    ("À 14h30.", "At 14:30.", True),
    ("At three o'clock.", "At 3 pm.", True),
    ("At half past nothing.", "At 3 pm.", False),
]
IDENTIFIERS: list[Case] = [
    ("Call +44 20 7946 0018.", "Call +442079460018.", True),
    ("Call (212) 555-0187.", "Call 212.555.0187.", True),
    ("Call 212-555-0187.", "Call 212-555-0178.", False),
    (
        "The IBAN is FR76 3000 6000 0112 3456 7890 189.",
        "The IBAN is FR7630006000011234567890189.",
        True,
    ),
    (
        "The IBAN is FR76 3000 6000 0112 3456 7890 188.",
        "The IBAN is FR7630006000011234567890189.",
        False,
    ),
    ("Parcel JJD 0003 9000 1234.", "Parcel JJD000390001234.", True),
    ("See https://clinic.example/forms.", "See https://clinic.example/forms/", True),
    ("See https://clinic.example/form.", "See https://clinic.example/forms/", False),
    ("Claim CL-77.", "Claim CL-771.", False),
    ("Claim cl-771.", "Claim CL-771.", True),
    ("Write to Desk@Clinic.example.", "Write to desk@clinic.example.", True),
]
SIGNS: list[Case] = [
    ("It’s 20–30 minutes.", "It's 20-30 minutes.", True),
    ("We close at 5\xa0pm.", "We close at 5 pm.", True),
    ("Price: **$15**", "Price: $15", True),
    ("Code A\u200b77.", "Code A77.", True),
    ("１５ tickets", "15 tickets", True),
]
POLARITY: list[Case] = [
    ("The deposit is returned.", "The deposit is not returned.", False),
    ("Your insurance covers the surgery.", "Your insurance does not cover the surgery.", False),
    (
        "Your insurance doesn't cover the surgery.",
        "Your insurance does not cover the surgery.",
        True,
    ),
    ("There are no seats left.", "There are seats left.", False),
    ("The flat comes without furniture.", "The flat comes with furniture.", False),
    ("You never need a prescription.", "You need a prescription.", False),
    ("The invoice has been paid.", "The invoice has not been paid yet.", False),
    ("The transfer succeeded.", "The transfer failed.", False),
    ("The transfer was successful.", "The transfer went through.", True),
    ("Your application was rejected.", "Your application was approved.", False),
    ("The gym is shut on Sunday.", "The gym is closed on Sunday.", True),
    ("The gym is not open on Sunday.", "The gym is closed on Sunday.", True),
    ("The gym is open on Sunday.", "The gym is closed on Sunday.", False),
    ("The voucher is still valid.", "The voucher has expired.", False),
    ("The voucher is invalid.", "The voucher is not valid.", True),
    ("The room is available.", "The room is sold out.", False),
    ("That isn't correct.", "That is correct.", False),
    ("Nobody is on duty tonight.", "A nurse is on duty tonight.", False),
    ("The pass is non-transferable.", "The pass is transferable.", False),
    ("Die Gebühr wird nicht erstattet.", "Die Gebühr wird erstattet.", False),
    ("Die Gebühr wird nicht erstattet.", "Die Gebühr wird nicht erstattet!", True),
    ("Le billet n'est pas remboursable.", "Le billet est remboursable.", False),
    ("El hotel no tiene piscina.", "El hotel tiene piscina.", False),
    ("Il volo non è in ritardo.", "Il volo è in ritardo.", False),
    ("O pedido não foi enviado.", "O pedido foi enviado.", False),
    ("De winkel is niet open.", "De winkel is open.", False),
    ("The pool is heated. Pets are not allowed.", "The pool is heated. Pets are allowed.", False),
    (
        "Breakfast is included, but parking is not included.",
        "Breakfast is included, and parking is included.",
        False,
    ),
]
OPENINGS: list[Case] = [
    ("Of course, that seat is free.", "No, that seat is not free.", False),
    ("Yes, you need a visa.", "No, you don't need a visa.", False),
    ("Yeah, the lift works.", "Yes, the lift works.", True),
    ("Sure, we deliver there.", "Yes, we deliver there.", True),
    ("Certainly.", "Yes", True),
    ("Nope, not today.", "Yes.", False),
    ("Nope, the lift is out of order.", "No, the lift is out of order.", True),
]
IDIOMS: list[Case] = [
    (
        "We can't thank you enough; the table is booked for 7 pm.",
        "Thank you; the table is booked for 7 pm.",
        True,
    ),
    ("No problem, the table is booked for 7 pm.", "The table is booked for 7 pm.", True),
    ("Don't hesitate to call 555-010-7788.", "Please call 555-010-7788.", True),
    ("You can't go wrong with the 3-course menu.", "Take the 3-course menu.", True),
    ("I cannot wait to welcome you on May 3.", "Looking forward to welcoming you on May 3.", True),
    ("No worries, it arrives on May 3.", "It arrives on May 3.", True),
]
REFUSALS: list[Case] = [
    ("I'm unable to change the beneficiary.", "I can't change the beneficiary.", True),
    ("We won't be able to waive the fee.", "We cannot waive the fee.", True),
    ("Waiving it is against our policy.", "We cannot waive the fee.", True),
    ("I have waived the fee.", "We cannot waive the fee.", False),
    ("I'm not allowed to share that.", "Sorry, I can't share that.", True),
    ("It's not possible to share that.", "I am not able to share that.", True),
    ("Sorry for the delay, your card is on the desk.", "Your card is on the desk.", None),
    ("Unfortunately, it takes 5 days.", "It takes 5 days.", True),
    ("I'm afraid we have no rooms.", "We have rooms.", False),
]
LABELS: list[Case] = [
    ("spam", "ham", False),
    ("Spam.", "spam", True),
    ("negative", "positive", False),
    ("technical issue", "billing", False),
    ("high_priority", "low_priority", False),
    ("TRUE", "true", True),
    ("B", "C", False),
    ("urgent", "not urgent", False),
    ("escalate", "Escalate", True),
]
JSON: list[Case] = [
    ('{"sentiment": "negative"}', '{"sentiment": "positive"}', False),
    ('```json\n{"a": [1, 2]}\n```', '{"a": [1, 2]}', True),
    ('{"a": [2, 1]}', '{"a": [1, 2]}', False),
    ('{"a": 1.0, "b": null}', '{"b": null, "a": 1}', True),
    ("The intent is refund", '{"intent": "refund"}', False),
    ("[]", "[1]", False),
    ('{"a": true}', '{"a": 1}', False),
]
EXCLUSIVE: list[Case] = [
    ("The walls are green.", "The walls are white.", False),
    ("Turn left at the bank.", "Turn right at the bank.", False),
    ("The clinic is closed in the morning.", "The clinic is closed in the evening.", False),
    ("The parcel is delayed.", "The parcel was delivered.", False),
    ("The exam is before the break.", "The exam is after the break.", False),
    ("Your fee is higher.", "Your fee is lower.", False),
    ("A window seat, please.", "An aisle seat, please.", False),
]
NAMES: list[Case] = [
    ("Your doctor is Patel.", "Your doctor is Okafor.", False),
    ("You fly to Oslo.", "You fly to Madrid.", False),
    ("You fly to Madrid.", "You are flying to Madrid.", True),
    ("You will be met.", "You will be met by Okafor.", False),
    ("The author is Woolf.", "The author is Joyce.", False),
    ("It is SHUT.", "It is shut.", True),
]
SWAPPED: list[Case] = [
    ("The sofa costs $300 and the chair $90.", "The sofa costs $90 and the chair $300.", False),
    ("Chair $90, sofa $300.", "The sofa costs $300 and the chair $90.", True),
    ("Move it from 10 am to 2 pm.", "Move it from 2 pm to 10 am.", False),
    ("Adults pay 20, children pay 8.", "Adults pay 8, children pay 20.", False),
    ("Children pay 8; adults pay 20.", "Adults pay 20, children pay 8.", True),
    ("Savings: 500. Checking: 80.", "Savings: 80. Checking: 500.", False),
    ("Kim owes $5 and Lee owes $7.", "Kim owes $7 and Lee owes $5.", False),
]
SILENT: list[Case] = [
    ("...", "The clinic moved to Hill Street.", False),
    ("Thank you!", "The clinic moved to another street.", False),
    ("Okay.", "Your claim was settled.", False),
    ("Which claim?", "Your claim was settled.", False),
    ("Could you say more?", "Your claim was settled.", False),
    ("lorem ipsum dolor", "Your claim was settled.", None),
    ("!!!", "Hello there!", None),
]
QUESTIONS: list[Case] = [
    ("What is your account number?", "Could you tell me your account number?", True),
    ("What is your birthday?", "Could you tell me your account number?", None),
    ("Your account is fine.", "Could you tell me your account number?", False),
]
FREE: list[Case] = [
    ("Glad I could help!", "You're welcome!", None),
    ("The trail follows the old railway.", "It runs along the former train line.", None),
    ("Our chef trained abroad.", "We grow our own herbs.", None),
    ("Have a lovely day!", "Take care!", None),
    ("The manual explains it.", "It is explained by the manual.", None),
]
KINDS = {
    "numbers": NUMBERS,
    "versions": VERSIONS,
    "dates": DATES,
    "times": TIMES,
    "identifiers": IDENTIFIERS,
    "signs": SIGNS,
    "polarity": POLARITY,
    "openings": OPENINGS,
    "idioms": IDIOMS,
    "refusals": REFUSALS,
    "labels": LABELS,
    "json": JSON,
    "exclusive": EXCLUSIVE,
    "names": NAMES,
    "swapped": SWAPPED,
    "silent": SILENT,
    "questions": QUESTIONS,
    "free": FREE,
}


@pytest.mark.parametrize(
    ("predicted", "recorded", "right"),
    [
        pytest.param(*case, id=f"{kind}: {case[0]} / {case[1]}")
        for kind, cases in KINDS.items()
        for case in cases
    ],
)
def test_kinds_of_answers(predicted: str, recorded: str, right: bool | None) -> None:
    match = match_answer(predicted, recorded, [], JudgeConfig())
    assert match.right is right, match.notes
    assert 0 <= match.correctness <= 1
    assert (match.correctness == 1) <= (right is not False)


@pytest.mark.parametrize(
    "recorded", sorted({recorded for cases in KINDS.values() for _, recorded, _ in cases})
)
def test_every_record_is_right_in_its_own_words(recorded: str) -> None:
    for same in (recorded, f"  {recorded} ", recorded.replace("'", "’")):
        match = match_answer(same, recorded, [], JudgeConfig())
        assert (match.right, match.correctness) == (True, 1.0)


@pytest.mark.parametrize(
    ("recorded", "checkable"),
    [
        ("It costs $5.", True),
        ("spam", True),
        ('{"a": 1}', True),
        ("I cannot do that.", True),
        ("Your guide is Okafor.", True),
        ("What is your account number?", True),
        ("Glad to help!", False),
        ("The shop is open.", False),
        ("Goodbye", False),
    ],
)
def test_whether_other_words_can_be_right(recorded: str, checkable: bool) -> None:
    assert is_checkable(recorded) is checkable


@pytest.mark.parametrize(
    ("predicted", "recorded", "right", "note"),
    [
        ("それは5ドルです。", "5ドルかかります。", True, "no words for it in this language"),
        ("Es kostet 5 Euro.", "It costs 5 euros.", True, "one is in de, one in en"),
        ("Es kostet nicht 5 Euro.", "It costs 5 euros.", None, "one is in de, one in en"),
        ("開いています。", "閉まっています。", None, "no words for it in this language"),
    ],
)
def test_what_no_words_are_known_for_is_said(
    predicted: str, recorded: str, right: bool | None, note: str
) -> None:
    match = match_answer(predicted, recorded, [], JudgeConfig())
    assert match.right is right
    assert any(note in said for said in match.notes)


CONTEXT = ['{"driver": "Okafor", "status": "on_route"}', '{"driver": "Patel", "status": "late"}']


@pytest.mark.parametrize(
    ("predicted", "recorded", "asked", "right"),
    [
        ("Patel is driving.", "Your driver is Okafor.", "Who drives?", False),
        ("Okafor and Patel.", "Okafor.", "Who drives?", False),
        ("Okafor drives. Anything else?", "Okafor drives.", "Who drives?", True),
        ("Someone drives you.", "Your driver is Okafor.", "Who drives?", False),
        ("The driver is there at 5 pm.", "Okafor is there at 5 pm.", "Is Okafor coming?", True),
        ("It is LATE.", "It is late.", "", True),
    ],
)
def test_names_of_the_conversation(predicted: str, recorded: str, asked: str, right: bool) -> None:
    match = match_answer(predicted, recorded, CONTEXT, JudgeConfig(), asked=asked)
    assert match.right is right, match.notes


@pytest.mark.parametrize(("similarity", "right"), [(0.9, True), (0.5, None), (0.05, False)])
def test_similarity_decides_where_nothing_else_does(similarity: float, right: bool | None) -> None:
    settings = JudgeConfig.model_validate({"embedding": {"model": "m"}})
    free = match_answer(
        "Enjoy your trip!", "Have a safe journey!", [], settings, similarity=similarity
    )
    assert free.right is right
    assert free.correctness == similarity
    # What is denied, or another number, stays wrong however alike the texts are.
    for predicted, recorded in (("It is open.", "It is closed."), ("It is 5.", "It is 6.")):
        match = match_answer(predicted, recorded, [], settings, similarity=similarity)
        assert match.right is False

"""The trades in whose conversations the base model learns, none of them the desk's.

A library, a gym, a garage, a school, a museum, a garden centre and a car park. Needs neither torch
nor transformers.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trade:
    """What is particular to one trade."""

    place: str
    thing: str
    person: str
    verb: str
    done: str
    look: tuple[str, ...]
    """Names of the look-up tool, one of which is drawn for a conversation."""
    listing: tuple[str, ...]
    act: tuple[str, ...]
    date: tuple[str, str]
    """The date in a record, as a field and in words."""
    past: bool
    """Whether the date lies behind (at most so many days since) or ahead (at least so many)."""
    counter: tuple[str, str]
    """The counter that has a limit, as a field and in words."""
    money: str
    fee: str
    returns: bool
    """Whether the fee is taken from the money, or comes on top of it."""
    items: tuple[str, ...]


TRADES = (
    Trade(
        "city library",
        "loan",
        "reader",
        "renew",
        "renewed",
        ("get_loan", "find_loan", "loan_details"),
        ("list_loans", "loans_of_reader"),
        ("renew_loan", "extend_loan"),
        ("borrowed", "it was borrowed"),
        True,
        ("renewals", "times"),
        "deposit",
        "reminder fee",
        True,
        ("The River", "Bread at Home", "Stars and Moons", "A Short Walk", "The Fox", "Old Maps"),
    ),
    Trade(
        "gym",
        "course",
        "member",
        "leave",
        "left",
        ("get_course", "show_course", "course_info"),
        ("list_courses", "courses_of_member"),
        ("leave_course", "drop_course"),
        ("starts", "it starts"),
        False,
        ("absences", "absences"),
        "price",
        "locker fee",
        True,
        ("Yoga", "Spinning", "Boxing", "Rowing", "Dance", "Pilates", "Swimming"),
    ),
    Trade(
        "garage",
        "repair",
        "driver",
        "redo",
        "taken up again",
        ("get_repair", "repair_record", "find_repair"),
        ("list_repairs", "repairs_of_driver"),
        ("redo_repair", "reopen_repair"),
        ("finished", "it was finished"),
        True,
        ("claims", "claims"),
        "parts",
        "labour",
        False,
        ("brakes", "gearbox", "window", "clutch", "tyres", "headlight", "exhaust"),
    ),
    Trade(
        "school",
        "essay",
        "pupil",
        "extend",
        "extended",
        ("get_essay", "essay_status", "find_essay"),
        ("list_essays", "essays_of_pupil"),
        ("extend_essay", "give_more_time"),
        ("due", "it is due"),
        False,
        ("extensions", "extensions"),
        "points",
        "malus",
        True,
        ("Volcanoes", "My Summer", "The Romans", "Whales", "Electricity", "Poems"),
    ),
    Trade(
        "museum",
        "ticket",
        "visitor",
        "swap",
        "swapped",
        ("get_ticket", "check_ticket", "ticket_info"),
        ("list_tickets", "tickets_of_visitor"),
        ("swap_ticket", "change_ticket"),
        ("valid", "the visit"),
        False,
        ("swaps", "swaps"),
        "price",
        "swap fee",
        False,
        ("Dinosaurs", "Modern Art", "Steam Engines", "The Sea", "Ancient Egypt", "Butterflies"),
    ),
    Trade(
        "garden centre",
        "plant",
        "gardener",
        "replace",
        "replaced",
        ("get_plant", "plant_record", "find_plant"),
        ("list_plants", "plants_of_gardener"),
        ("replace_plant", "swap_plant"),
        ("planted", "it was planted"),
        True,
        ("replacements", "replacements"),
        "value",
        "soil fee",
        True,
        ("fern", "rose", "olive tree", "lavender", "fig tree", "ivy", "tulips"),
    ),
    Trade(
        "car park",
        "permit",
        "holder",
        "move",
        "moved",
        ("get_permit", "permit_info", "find_permit"),
        ("list_permits", "permits_of_holder"),
        ("move_permit", "transfer_permit"),
        ("issued", "it was issued"),
        True,
        ("moves", "moves"),
        "rent",
        "plate fee",
        False,
        ("Level 1", "Level 2", "North Yard", "South Yard", "Roof", "Gate B"),
    ),
)

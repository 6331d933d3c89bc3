"""The businesses at the desk, one file each: rows, tools, policy, and what is right there."""

from actwise.desk.domains.hotel import HOTEL
from actwise.desk.domains.phone import PHONE
from actwise.desk.domains.shop import SHOP

DOMAINS = (SHOP, HOTEL, PHONE)

"""How facts are written: the expression that finds them; `readings.py` says what a match states.

One pass, leftmost first; of several readings that begin at one place the first below wins. Every
alternative is anchored by a look-behind or bounded, so that no text makes the search quadratic.
"""

import re

from actwise.rewards import spelled
from actwise.rewards.lexicon import table

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""As English names of months begin."""
_NAMES_OF_MONTHS = """
    januar janvier enero gennaio janeiro januari
    februar février febrero febbraio fevereiro februari
    märz mars marzo março maart
    avril abril aprile
    mai mayo maggio maio mei
    juni juin junio giugno junho
    juli juillet julio luglio julho
    août agosto augustus
    septembre septiembre settembre setembro
    oktober octobre octubre ottobre outubro
    novembre noviembre novembro
    dezember décembre diciembre dicembre dezembro
"""
ELSEWHERE = {
    name: month
    for month, line in enumerate(_NAMES_OF_MONTHS.strip().splitlines(), 1)
    for name in line.split()
}
"""Numbers of months by their names in other languages."""
# "May" only with a capital: "order 12 may be late" names no date.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?"
    rf"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|{'|'.join(ELSEWHERE)})"
)
_MONTH_ALONE = (
    r"(?-i:January|February|April|June|July|August|September|October|November|December"
    r"|(?<=\b[Ii]n\s)(?:March|May)|(?<=\b(?:by|of)\s)(?:March|May)"
    r"|(?<=\b(?:this|next|last|from)\s)(?:March|May)|(?<=\buntil\s)(?:March|May))"
)
# "Mayo" may be a sauce, "Julio" a man: the word before them or a year tells that it is a month.
_MONTH_ELSEWHERE = (
    r"(?-i:(?<=\b[Ii]m\s)(?:{0})|(?<=\b[Aa]b\s)(?:{0})|(?<=\b[Bb]is\s)(?:{0})"
    r"|(?<=\b[Ee][mn]\s)(?:{1})|(?<=\bde\s)(?:{1})|(?<=\bhasta\s)(?:{1})"
    r"|(?<=\b[Ii]n\s)(?!mayo)(?:{1}))"
).format("Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember", "|".join(ELSEWHERE))
_YEAR = r"\.?\s(?:del?\s)?(?:19|20)[0-9]{2}(?!\w)"
_NAMES_OF_WEEKDAYS = """
    monday montag lundi lunes lunedì maandag segunda-feira
    tuesday dienstag mardi martes martedì dinsdag terça-feira
    wednesday mittwoch mercredi miércoles mercoledì woensdag quarta-feira
    thursday donnerstag jeudi jueves giovedì donderdag quinta-feira
    friday freitag vendredi viernes venerdì vrijdag sexta-feira
    saturday samstag sonnabend samedi sábado sabato zaterdag
    sunday sonntag dimanche domingo domenica zondag
"""
WEEKDAYS = {
    name: line.split()[0]
    for line in _NAMES_OF_WEEKDAYS.strip().splitlines()
    for name in line.split()
}
"""English names of weekdays by their names in all languages; the English ones come first."""
# Short names only in pairs and before a date or full stop: "Mon compte", "Sun and sea" name none.
_DAY = "(?-i:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"
_CODES = r"(?:USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|NZD|SGD|HKD|MXN|BRL)"
_DOLLARS = "(?:US|CA|C|AU|A|NZ|SG|S|HK|MX|R)"
_AFTER = rf"(?:€|£|¥|(?:{_CODES}|dollars?|bucks|euros?|pounds?|yen|rupees|francs|reais)(?!\w))"
_UNITS = r"(?:st|nd|rd|th|kg|g|lbs?|oz|km|cm|mm|m|ml|l|kb|mb|gb|tb|ms|s|mins?|hrs?|h|x)"
# A minus in words where an amount is told; in "the price minus $20" it takes the amount away.
_SIGN = (
    r"(?<![\w)])-"
    r"|(?:(?<=\bis\s)|(?<=\bwas\s)|(?<=\bof\s)|(?<=\bat\s)|(?<=:\s))(?:minus|negative)\s"
)
_ORDINAL = r"(?:st|nd|rd|th|er|\.(?=\s[^\W\d_]))?"
# Elsewhere 10,20,300 may be three numbers.
_RUPEES = r"(?:(?<=₹)|(?<=₹\s)|(?<=\bRs)|(?<=\bRs[.\s])|(?<=\bRs\.\s)|(?<=\bINR)|(?<=\bINR\s))"
_AMOUNT = rf"""(?:
    [0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]+)?(?![0-9])      # 1,234.50
  | {_RUPEES}[0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?(?![,0-9])  # ₹1,00,000
  | [0-9]{{1,3}}(?:\.[0-9]{{3}})+,[0-9]+                    # 1.234,50
  | [0-9]{{1,3}}(?:\.[0-9]{{3}}){{2,5}}(?![.0-9])           # 1.234.567
  | [0-9]{{1,3}}(?:'[0-9]{{3}})+(?:\.[0-9]+)?(?![0-9])      # 1'234.50
  | [0-9]{{1,3}}(?:\s[0-9]{{3}})+(?:[.,][0-9]{{1,2}})?(?=\s{{0,2}}{_AFTER})  # 1 234,50 €
  | [0-9]+,[0-9]+(?![,0-9])                                 # 19,90
  | [0-9]+(?:\.[0-9]+)?)"""
PARTS_OF_DAYS = table("""
    morning: morgens vormittags du_matin de_la_mañana da_manhã del_mattino di_mattina
    afternoon: nachmittags de_l'après-midi de_la_tarde da_tarde del_pomeriggio
    evening: abends du_soir di_sera della_sera
    night: nachts de_la_noche da_noite di_notte
""")
PARTS_OF_DAYS = {part.replace("_", " "): name for part, name in PARTS_OF_DAYS.items()}
"""English names of parts of days, by what follows an hour in other languages."""
HOURS = list(spelled.WORDS)[:12]
"""One to twelve in words."""
_HOUR = f"(?:{'|'.join(HOURS)})"
_THROUGH = r"(?:\s?-\s?|\s(?:to|through|until|till)\s)"

FACT = re.compile(
    rf"""
    (?P<url> https?://[^\s<>"')\]]+ | www\.[^\s<>"')\]]+ )
  | (?P<email> (?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+ )
  | (?P<iso> (?<![\w-])(?P<iso_year>[0-9]{{4}})[-/](?P<iso_month>[0-9]{{1,2}})
        [-/](?P<iso_day>[0-9]{{1,2}})(?![0-9])(?:T(?=[0-9]{{2}}:))? )
  | (?P<dotted_date> (?<![\w.])(?P<dd_day>0?[1-9]|[12][0-9]|3[01])\.\s?
        (?P<dd_month>0?[1-9]|1[0-2])\.\s?(?P<dd_year>[0-9]{{4}})(?![\w]|\.[0-9]) )
  | (?P<month_first> (?<!\w)(?P<mf_month>{_MONTH})\.?\s{{1,3}}(?P<mf_day>[0-9]{{1,2}}){_ORDINAL}
        (?![\w:])(?:{_THROUGH}(?P<mf_last>[0-9]{{1,2}}){_ORDINAL}
            (?![\w:]|\.[0-9]|\s{{0,2}}(?:[ap]\.?m|(?:of\s)?{_MONTH})))?
        (?:,?\s{{1,3}}(?P<mf_year>[0-9]{{4}})(?!\w))? )
  | (?P<day_first> (?<!\w)(?:(?P<df_first>[0-9]{{1,2}}){_ORDINAL}{_THROUGH})?
        (?P<df_day>[0-9]{{1,2}}){_ORDINAL}\s{{1,3}}(?:of\s|de\s)?
        (?P<df_month>{_MONTH})(?!\w)\.?(?:,?\s{{1,3}}(?:de\s)?(?P<df_year>[0-9]{{4}})(?!\w))? )
  | (?P<month> (?<!\w)(?P<m_month>{_MONTH_ALONE}|{_MONTH_ELSEWHERE}|{_MONTH}(?={_YEAR}))(?!\w)
        (?:\.?\s(?:del?\s)?(?P<m_year>[0-9]{{4}})(?!\w))? )
  | (?P<month_number> (?<![\w/.-])(?P<n_month>0?[1-9]|1[0-2])/(?P<n_year>(?:19|20)[0-9]{{2}})
        (?![\w/-]) )
  | (?P<weekdays> (?<!\w){_DAY}\.?\s?(?:[-/&]|to|through|thru|and)\s?{_DAY}(?!\w) )
  | (?P<weekday> (?<!\w)(?:(?:{"|".join(WEEKDAYS)})(?=s?(?!\w))
        |{_DAY}(?=\.|,?\s(?:[0-9]|{_MONTH}(?!\w)))) )
  | (?P<slash> (?<![\w/])(?P<s_first>[0-9]{{1,2}})/(?P<s_second>[0-9]{{1,2}})
        (?:/(?P<s_year>[0-9]{{4}}|[0-9]{{2}}))?(?![\w/]) )
  | (?P<dashed> (?<![\w-])(?P<d_first>[0-9]{{1,2}})-(?P<d_second>[0-9]{{1,2}})
        -(?P<d_year>[0-9]{{4}})(?![\w-]) )
  | (?P<ratio> (?<![\w.])(?P<r_of>[0-9]{{1,3}})\sout\sof\s(?:a\s)?(?P<r_all>[0-9]{{1,3}})(?![\w]) )
  | (?P<quarters> (?<!\w)(?P<q_part>half|quarter)\s(?P<q_side>past|to)\s
        (?P<q_hour>[0-9]{{1,2}}|{_HOUR})(?!\w) )
  | (?P<daytime> (?<!\w)(?:12\s)?(?:noon|midday|midnight)(?!\w) )
  | (?P<range_from> (?<![0-9:.\w$€£-])(?P<rf_hour>[0-9]{{1,2}})(?:[:.](?P<rf_minute>[0-5][0-9]))?
        (?=(?:\s?-\s?|\s(?:to|and|until|till)\s)[0-9]{{1,2}}(?:[:.][0-9]{{2}})?
            \s{{0,3}}[ap]\.?m(?![a-z])) )
  | (?P<clock> (?<![0-9:.])(?P<hour>[0-9]{{1,2}})
        (?: (?:\.(?P<minute_dot>[0-5][0-9])
                |:(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?)?
            \s{{0,3}}(?P<half>[ap])\.?m(?![a-z])\.?
          | (?::(?P<minute_of>[0-9]{{2}}))?(?:\s?o'clock|\s(?:uhr|heures?)|\s?h)?
            \s(?:(?:in\sthe|at)\s(?P<part>morning|afternoon|evening|night)
                |(?P<part_of>{"|".join(PARTS_OF_DAYS).replace(" ", chr(92) + "s")}))(?!\w)
          | \s?o'clock(?!\w)
          | (?:h(?P<minute_h>[0-5][0-9])|\s(?:uhr|heures)(?:\s(?P<minute_uhr>[0-5][0-9]))?)(?!\w)
          | :(?P<minute24>[0-9]{{2}})(?::(?P<second24>[0-9]{{2}})(?:\.[0-9]+)?)?
            (?:\suhr)?(?![0-9:]) ) )
  | (?P<phone> (?<![\w.+-])(?:
          (?:\+[0-9]{{1,3}}[\s.-]?(?:\([0-9]{{1,5}}\)\s?)?|(?:1[-.\s])?\([0-9]{{2,5}}\)\s?
            |1-(?=[0-9]{{3}}-[0-9]{{3}}-[0-9]{{4}})|(?=0[1-9]))
            [0-9]{{2,5}}(?:[-\s/]?[0-9]{{2,5}}){{1,4}}
          | [0-9]{{2,5}}(?:-[0-9]{{2,5}}){{2,4}} )(?![\w-]|[.,:][0-9]) )
  | (?P<dotted> (?<![\w.])v?[0-9]+(?:\.[0-9]+){{2,}}(?![\w]|\.[0-9]|,[0-9]) )
  | (?P<version> (?<!\w)(?:version|ver\.?|release|v)\s{{0,2}}
        (?P<v_number>[0-9]+\.[0-9]+)(?!\w|[.,][0-9]) )
  | (?P<percent> (?P<percent_sign>{_SIGN})?(?P<percentage>{_AMOUNT})
        \s{{0,3}}(?:%|percent(?!\w)|per\scent(?!\w)|prozent(?!\w)) )
  | (?P<cents> (?<![\w.,])(?P<cent_amount>[0-9]{{1,4}})\s{{0,2}}(?:¢|(?:cents?|ct)(?!\w)) )
  | (?P<mixed> \#?(?<![A-Z0-9])(?![0-9]+(?:{_UNITS}|{_CODES})(?![\w-]))(?![0-9]{{1,9}}k(?!\w))
        (?!{_CODES}[0-9][0-9.,]{{0,20}}(?![\w-]))
        (?![0-9]+(?:-(?-i:[a-z])+)+(?!\w))
        (?=[0-9_-]{{0,40}}[A-Z])(?=[A-Z_-]{{0,40}}[0-9])[A-Z0-9]+(?:[-_][A-Z0-9]+)* )
  | (?P<number> (?P<sign>{_SIGN})?
        (?:(?P<before>(?<!\w)(?:{_DOLLARS}\$|Rs\.?)|[$€£¥₹]|(?<!\w){_CODES})\s{{0,2}}(?P<inner_sign>-)?)?
        (?P<amount>{_AMOUNT})
        (?P<power>k(?!\w)|\s{{0,2}}(?:thousand|million|billion|mio|bn)(?!\w)
            |(?(before)[mb](?!\w)|[mb](?=\s{{0,2}}{_AFTER})))?
        (?:\s{{0,2}}(?P<after>{_AFTER})
          |{_UNITS}(?!\w))? )
    """,
    re.IGNORECASE | re.VERBOSE,
)

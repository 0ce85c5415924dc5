"""The texts of the sample records, including texts that incorrect code fails on."""

# ruff: noqa: RUF001 - letters that look alike are intended here

LONG_NAME = ("Consolidated International Holdings and Affiliated Operating Companies " * 3)[
    :199
] + "."
"""200 characters, the maximum length of an account's name in m3ter."""

ACCOUNT_NAMES = (
    "Northwind Traders",
    "Müller & Söhne GmbH",
    "株式会社さくら電機",
    "Société Générale d'Électricité",
    'Smith, Jones "and" Partners',
    "北京云计算科技有限公司",
    "O'Reilly Data Services",
    "ООО «Северный ветер»",
    "=HYPERLINK(1) Widgets",
    "شركة النيل للبرمجيات",
    "+Plus Analytics",
    "삼성데이터 주식회사",
    "#1 Cloud Hosting",
    "Ελληνικές Υπηρεσίες Α.Ε.",
    "<b>Bold & Sons</b>",
    "भारत डेटा प्राइवेट लिमिटेड",
    "Rocket 🚀 Labs",
    "Łódź Systemy Sp. z o.o.",
    "חברת הענן בע״מ",
    "Semi;Colon;Works",
    LONG_NAME,
    "บริษัท คลาวด์ไทย จำกัด",
    "Back\\slash Holdings",
    "Peña y Núñez, S.L.",
    "null",
    "Família 👨‍👩‍👧‍👦 Telecom",
    "@Home Energy",
    "Tab Free | Pipe Co",
    "İstanbul Bilişim A.Ş.",
    "Công ty Điện toán Đám mây",
    "100% Renewable",
    "-Dash Logistics",
    "Zoë’s “Curly” Quotes Ltd.",
    "N/A",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 Astral Ltd",
    "Ærø Færge A/S",
    "0012345",
    "TRUE",
)

FIRST_WORDS = ("Blue", "Alpine", "Harbour", "Quantum", "Evergreen", "Pioneer", "Silver", "Delta")
SECOND_WORDS = ("Data", "Freight", "Health", "Robotics", "Energy", "Media", "Payments", "Foods")
COMPANY_FORMS = ("Inc.", "Ltd", "GmbH", "S.A.", "B.V.", "K.K.", "AB", "Pty Ltd")

DESCRIPTIONS = (
    "Standard terms.",
    "First line\nSecond line\r\nThird line, with a comma",
    'He said "unlimited", we said no.',
    "Entgelt für Übermittlung: 5 € je GB",
    "=1+1",
    "年間契約。自動更新あり。",
    "Discount <10% & rebate> see annex",
    "Renewed 🎉, see ticket #4711",
    "C:\\contracts\\2025\\final",
    "A tab\tinside, and a semicolon; too",
)

ADDRESSES: tuple[dict[str, str | None], ...] = (
    {
        "addressLine1": "221B Baker Street",
        "locality": "London",
        "postCode": "NW1 6XE",
        "country": "GB",
    },
    {
        "addressLine1": "千代田1-1",
        "addressLine2": "丸の内ビル 12階",
        "addressLine3": "さくら様気付",
        "addressLine4": "3号室",
        "locality": "東京都",
        "region": "関東",
        "postCode": "100-0001",
        "country": "Japan",
    },
    {"addressLine1": 'Straße "Am Markt" 5, Hof', "locality": "Köln", "postCode": "50667"},
    {"country": "United States", "region": "CA"},
    {"addressLine1": "1 Infinite Loop", "addressLine2": None, "locality": "", "country": "US"},
    {},
)

CURRENCIES = ("USD", "EUR", "GBP", "JPY")

USERS = (
    ("Ada", "Lovelace"),
    ("José", "García Márquez"),
    ("小百合", "田中"),
    ("Siobhán", "O'Brien"),
    ("Олена", "Ковальчук"),
    ("Max", "von Öhsen-Groß"),
)

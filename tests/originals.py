"""Small originals in the layouts of the public ones, every value made up."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

RETAIL_HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
RETAIL_2009 = (
    "489434,85048,15CM  CHRISTMAS GLASS BALL ,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom",
    'C489449,22087,"PAPER BUNTING, 50\'S LACE",-12,2009-12-01 10:33:00,2.95,13085.0,Norway',
    "489435,22350,CAT BOWL,3,2009-12-02 08:00:00,2.55,,United Kingdom",
    "489436,22351,DOG BOWL,3,2009-12-02 08:00:00,0,13085.0,United Kingdom",
)
RETAIL_BOTH = (
    "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France",
    "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France",
    "536366,22633,HAND WARMER,1,2010-12-09 17:00:00,1.85,17850.0,France",
)
RETAIL_2011 = ("581587,22138,BAKING SET 9 PIECE,3,2011-12-09 12:50:00,4.95,17850.0,Spain",)

CREDIT_HEADER = (
    "ID,LIMIT_BAL,SEX,EDUCATION,MARRIAGE,AGE,PAY_0,PAY_2,PAY_3,PAY_4,PAY_5,PAY_6,"
    "BILL_AMT1,BILL_AMT2,BILL_AMT3,BILL_AMT4,BILL_AMT5,BILL_AMT6,"
    "PAY_AMT1,PAY_AMT2,PAY_AMT3,PAY_AMT4,PAY_AMT5,PAY_AMT6,default payment next month"
)
CREDIT_ROWS = (
    "1,20000,2,2,1,24,2,1,-1,0,-2,4,18001,18000,10000,2000,0,-5,0,700,0,0,0,60,1",
    "2,50000.0,1,5,3,57,-1,-1,-1,-1,-1,-1,100,100,100,100,100,100,1,1,1,1,1,1,0",
)

TWEETS = {
    "ratings.dat": (
        "1::0104257::8::1364690142",
        "1::0104257::7::1364690143",
        "2::0251736::4::1363514771",
        "2::9999999::5::1363514772",
    ),
    "movies.dat": (
        '0104257::A "Few" Good Mén (1992)::Crime|Drama',
        "0251736::House of 1000 Corpses (2003)::",
    ),
    "users.dat": ("1::177651718", "2::177651719"),
}

JOURNEY = {
    "transaction_data.csv": (
        "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,STORE_ID,RETAIL_DISC,TRANS_TIME,WEEK_NO,"
        "COUPON_DISC,COUPON_MATCH_DISC",
        "2375,26984851472,1,1004906,1,1.39,364,-0.6,1631,1,0,0",
        "2375,26984851473,285,1033142,2,0.82,364,0,40,41,0,0",
        "8,26984851474,711,77,1,2.5,364,0,2359,102,0,0",
    ),
    "product.csv": (
        "PRODUCT_ID,MANUFACTURER,DEPARTMENT,BRAND,COMMODITY_DESC,SUB_COMMODITY_DESC,CURR_SIZE_OF_PRODUCT",
        "1004906,69,PRODUCE,Private,POTATOES,POTATOES RUSSET (BULK&BAG),5 LB",
        "1033142,2,GROCERY,National,NO COMMODITY DESCRIPTION,NO SUBCOMMODITY DESCRIPTION, ",
    ),
    "hh_demographic.csv": (
        "AGE_DESC,MARITAL_STATUS_CODE,INCOME_DESC,HOMEOWNER_DESC,HH_COMP_DESC,HOUSEHOLD_SIZE_DESC,"
        "KID_CATEGORY_DESC,household_key",
        "65+,A,35-49K,Homeowner,2 Adults No Kids,2,None/Unknown,2375",
    ),
    "coupon_redempt.csv": ("household_key,DAY,COUPON_UPC,CAMPAIGN", "8,421,10000085364,8"),
    "campaign_desc.csv": ("DESCRIPTION,CAMPAIGN,START_DAY,END_DAY", "TypeA,8,412,460"),
}

LENS_CSV = {
    "ml-latest-small/ratings.csv": ("userId,movieId,rating,timestamp", "7,1,4.0,964982703", "7,2,0.5,964982931"),
    "ml-latest-small/movies.csv": (
        "movieId,title,genres",
        "1,Toy Story (1995),Adventure|Animation",
        '2,"""Great"" Cats, The (1998)",(no genres listed)',
    ),
    "ml-latest-small/tags.csv": ("userId,movieId,tag,timestamp", "9,1,pixar fun,1445714994"),
}
LENS_DAT = {
    "ratings.dat": ("1::1193::3::978300760", "1::661::5::978300700"),
    "movies.dat": ("1193::Cuckoo's Nest, The (1975)::Drama", "661::Misérables, Les (1995)::Drama|Musical"),
    "users.dat": ("1::F::1::10::48067", "2::M::56::16::70072"),
}

BERKA = {
    "account.asc": (
        '"account_id";"district_id";"frequency";"date"',
        '1;18;"POPLATEK MESICNE";950324',
        '2;1;"POPLATEK PO OBRATU";930226',
    ),
    "client.asc": ('"client_id";"birth_number";"district_id"', '11;"706213";18', '12;"450204";1', '13;"406009";1'),
    "disp.asc": (
        '"disp_id";"client_id";"account_id";"type"',
        '21;11;1;"OWNER"',
        '22;12;2;"OWNER"',
        '23;13;2;"DISPONENT"',
    ),
    "trans.asc": (
        '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"',
        '31;1;950324;"PRIJEM";"VKLAD";1000.00;1000.00;"";;',
        '32;1;950413;"PRIJEM";"PREVOD Z UCTU";3679.00;4679.00;"DUCHOD";"AB";"41403269"',
        '33;2;981231;"VYDAJ";"PREVOD NA UCET";2452.00;100.00;"SIPO";"YZ";"87144583"',
        '34;2;981230;"VYBER";"VYBER";300.50;2552.00;" ";;',
    ),
    "loan.asc": (
        '"loan_id";"account_id";"date";"amount";"duration";"payments";"status"',
        '5314;2;930705;96396;12;8033.00;"B"',
    ),
    "card.asc": ('"card_id";"disp_id";"type";"issued"', '1005;22;"classic";931107 00:00:00'),
    "district.asc": (
        "A1;A2;A3;A4;A5;A6;A7;A8;A9;A10;A11;A12;A13;A14;A15;A16",
        '1;"Hl.m. Praha";"Prague";1204953;0;0;0;1;1;100.0;12541;0.29;0.43;167;85677;99107',
        '18;"Pisek";"south Bohemia";70699;60;13;2;1;4;65.3;8968;2.83;3.35;131;1740;1910',
    ),
}


def write(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def folder(root: Path, files: Mapping[str, tuple[str, ...]], *, encoding: str = "utf-8", end: str = "\n") -> Path:
    for name, lines in files.items():
        write(root / name, *lines, encoding=encoding, end=end)
    return root


def packed(path: Path, files: Mapping[str, tuple[str, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, lines in files.items():
            archive.writestr(name, "\n".join(lines) + "\n")
    return path


def retail(root: Path) -> Path:
    """Two sheets, each a csv."""
    write(root / "Year 2009-2010.csv", RETAIL_HEADER, *RETAIL_2009, *RETAIL_BOTH)
    write(root / "Year 2010-2011.csv", RETAIL_HEADER, *RETAIL_BOTH, *RETAIL_2011)
    return root


def originals(root: Path) -> dict[str, Path]:
    """One original of each dataset, packed or not."""
    letters = "," + ",".join(f"X{n}" for n in range(1, 24)) + ",Y"
    return {
        "online_retail": retail(root / "online_retail"),
        "credit_card": write(root / "credit_card.csv", letters, CREDIT_HEADER, *CREDIT_ROWS),
        "movie_tweets": folder(root / "movie_tweets", TWEETS),
        "complete_journey": packed(root / "journey.zip", {f"dunnhumby/{n}": lines for n, lines in JOURNEY.items()}),
        "movielens": packed(root / "ml-latest-small.zip", LENS_CSV),
        "berka": folder(root / "berka", BERKA, end="\r\n"),
    }

"""The table of Salesforce's error codes; ``error_classification.look_up_code`` reads it.

A key is the letters and digits of a code, in upper case.
"""

from dataclasses import dataclass

from m3sync_dagster.sync.row_results import PARENT_NOT_FOUND, REFUSED_LINK, ErrorClass


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The class of an error, and what a person can do about it."""

    error_class: ErrorClass
    remedy: str


def _table(error_class: ErrorClass, remedies: dict[str, str]) -> dict[str, ErrorMeaning]:
    """Give each code its remedy."""
    return {
        code: ErrorMeaning(error_class, remedy)
        for codes, remedy in remedies.items()
        for code in codes.split()
    }


UNKNOWN = ErrorMeaning(
    ErrorClass.PERMANENT,
    "m3sync does not know this code. Read Salesforce's message, and correct the record, the "
    "mapping or the org.",
)

UNKNOWN_LOGIN = ErrorMeaning(
    ErrorClass.AUTHENTICATION,
    "m3sync does not know this code. Read Salesforce's message, and check the app in Setup.",
)

_LATER = "Nothing to do: the error is temporary, and the next run sends the row again."
_TRY_LATER = "Wait for the next run. If the error continues, check https://status.salesforce.com."
_QUOTA = (
    "Wait: the next hourly run continues. If this happens daily, raise the org's API limit "
    "(Salesforce Setup, Company Information)."
)
_PERMISSION = (
    "Assign the m3sync permission set to the integration user, and check the sharing rules."
)
_FIELD = (
    "Deploy the objects and fields with `m3sync salesforce deploy`, assign the permission set to "
    "the integration user, or correct the mapping."
)
_VALUE = "Correct the value in m3ter, or map the field to a Salesforce field that accepts it."
_RECORD = "Check the record in m3ter: it does not have the format that m3ter documents."
_RULE = "Change the record in m3ter so that it meets the org's rule, or change the rule."
_APP = "Check the client id, client secret and login URL against the app in Salesforce Setup."
_APPROVE = "Pre-authorize the integration user for the app, by its profile or a permission set."
_MOVED = (
    "Set the login URL to the org's My Domain URL (Salesforce Setup, My Domain): Salesforce "
    "redirects to another address."
)
_API_ACCESS = (
    "Give the integration user the permission API Enabled, and check the org's "
    "edition and policies."
)
LOGIN_WITHOUT_CODE = ErrorMeaning(ErrorClass.AUTHENTICATION, _APP)
_LOCKED = "Ask a Salesforce administrator to unlock or activate the integration user."
_BUG = "This is an error in m3sync: report it with this message."

_TRANSIENT = _table(
    ErrorClass.TRANSIENT,
    {
        "UNABLETOLOCKROW TOOMANYLOCKFAILURE": (
            "Nothing to do: another process had locked the record, and the next run sends it "
            "again. If the error continues, look for automations that change the same records."
        ),
        "TOOMANYAPEXREQUESTS TIMEOUT TXNSECURITYMETERINGERROR UNPROCESSED": _LATER,
        "ENTITYISLOCKED RECORDINUSEBYWORKFLOW": (
            "End the approval process that locks the record; the next run sends it again."
        ),
        "REQUESTRUNNINGTOOLONG QUERYTIMEOUT": (
            "Look for slow triggers and flows on the object in Salesforce."
        ),
        "SERVERUNAVAILABLE UNKNOWNEXCEPTION INTERNALERROR UNKNOWNERROR HTTP500 HTTP502 HTTP503 "
        "HTTP504 TEMPORARILYUNAVAILABLE SERVERERROR": _TRY_LATER,
        "HTTP420": "Check the login URL: Salesforce does not know this host.",
        "CANNOTEXECUTEFLOWTRIGGER": "Debug the flow that runs when the object is saved.",
    },
)
_QUOTAS = _table(
    ErrorClass.QUOTA,
    {
        "REQUESTLIMITEXCEEDED EXCEEDEDQUOTA TOOMANYJOBS HTTP429": _QUOTA,
        "INSERTUPDATEDELETENOTALLOWEDDURINGMAINTENANCE APICURRENTLYDISABLED": (
            "Wait until Salesforce's maintenance of the org has ended; the next run continues."
        ),
    },
)
_AUTHENTICATION = _table(
    ErrorClass.AUTHENTICATION,
    {
        "INVALIDCLIENT INVALIDCLIENTID INVALIDCLIENTCREDENTIALS INVALIDAPP UNAUTHORIZEDCLIENT "
        "INVALIDGRANT INVALIDREQUEST": _APP,
        "INVALIDAPPACCESS": _APPROVE,
        "UNSUPPORTEDGRANTTYPE OAUTHAPPBLOCKED OAUTHAPPACCESSDENIED OAUTHECAPPBLOCKED": (
            "Enable the login flow in the app's OAuth settings (Salesforce Setup)."
        ),
        "INACTIVEUSER INACTIVEORG PASSWORDLOCKOUT INVALIDLOGIN INVALIDUSER "
        "INVALIDOPERATIONWITHEXPIREDPASSWORD LOGINMUSTUSESECURITYTOKEN": _LOCKED,
        "RATELIMITEXCEEDED LOGINRATEEXCEEDED": (
            "Wait an hour before the next login: this user has logged in too often."
        ),
        "LOGINDURINGRESTRICTEDDOMAIN LOGINDURINGRESTRICTEDTIME": (
            "Allow this machine's address and hours in the integration user's profile."
        ),
        "INVALIDSESSIONID INVALIDAUTHHEADER HTTP401": (
            "Check that the app grants the scope `api` and that the integration user may use it."
        ),
    },
)
_CONFIGURATION = _table(
    ErrorClass.CONFIGURATION,
    {
        "APIDISABLEDFORORG FUNCTIONALITYNOTENABLED FEATURENOTENABLED TXNSECURITYNOACCESS "
        "TXNSECURITYAPEXERROR TXNSECURITYRUNTIMEERROR": _API_ACCESS,
        "HTTP301 HTTP302 HTTP303 HTTP307 HTTP308": _MOVED,
        "INSUFFICIENTACCESS INSUFFICIENTACCESSORREADONLY INSUFFICIENTACCESSONCROSSREFERENCEENTITY "
        "HTTP403": _PERMISSION,
        "CANNOTINSERTUPDATEACTIVATEENTITY": (
            "Check the Apex trigger or flow that the message names, and the permissions of "
            "the integration user."
        ),
        "INVALIDJOB INVALIDEXTERNALIDFIELDNAME INVALIDENTITYFORUPSERT INVALIDTYPE NOTFOUND "
        "INVALIDTYPEFOROPERATION INVALIDENTITY INVALIDBATCH INVALIDFIELD "
        "INVALIDFIELDFORINSERTUPDATE HTTP404": _FIELD,
        "STORAGELIMITEXCEEDED": "Free or buy data storage in the org (Setup, Storage Usage).",
        "INACTIVEOWNERORUSER": "Give the records an active owner.",
        "MIXEDDMLOPERATION": "Look for a trigger on the object that changes setup objects.",
        "UNSUPPORTEDAPIVERSION HTTP410": "Set a newer api_version in the Salesforce credential.",
        "CLIENTINPUTERROR INVALIDVERSION HTTP405 HTTP409 HTTP412 HTTP413 HTTP414 HTTP415 HTTP428 "
        "HTTP431": _BUG,
    },
)
_PERMANENT = _table(
    ErrorClass.PERMANENT,
    {
        "REQUIREDFIELDMISSING": "Fill the field in m3ter, map it, or set it under `constants:`.",
        "STRINGTOOLONG": "Shorten the value in m3ter, or lengthen the field in Salesforce.",
        "INVALIDTYPEONFIELDINRECORD NUMBEROUTSIDEVALIDRANGE INVALIDEMAILADDRESS DATEOUTOFRANGE "
        "TEXTDATAOUTSIDESUPPORTEDCHARSET JSONPARSERERROR": _VALUE,
        "INVALIDCURRENCYISO": "Activate the currency in the org (Setup, Manage Currencies).",
        "INVALIDORNULLFORRESTRICTEDPICKLIST": (
            "Add the value to the picklist in Salesforce, or make the picklist unrestricted."
        ),
        "DUPLICATEVALUE": (
            "Find the Salesforce record that has the same unique value, and merge or change it."
        ),
        "DUPLICATEEXTERNALID HTTP300": (
            "Two Salesforce records have this external ID: delete one, and make the field unique."
        ),
        "DUPLICATESDETECTED": "Change the org's duplicate rule, or merge the records it found.",
        "FIELDCUSTOMVALIDATIONEXCEPTION FIELDFILTERVALIDATIONEXCEPTION "
        "FIELDINTEGRITYEXCEPTION": _RULE,
        "INVALIDCROSSREFERENCEKEY MALFORMEDID INVALIDIDFIELD": (
            "Correct the Id in the row: Salesforce has no such record, or hides it from this user."
        ),
        "ENTITYISDELETED": "Delete the record from Salesforce's recycle bin, or restore it.",
        "JOBABORTED JOBFAILED INVALIDJOBSTATE": (
            "Check the job in Salesforce Setup, Bulk Data Load Jobs."
        ),
    },
)
_COLLATERAL = _table(
    ErrorClass.COLLATERAL, {"ALLORNONEOPERATIONROLLEDBACK PROCESSINGHALTED": _LATER}
)

_INVALID = _table(
    ErrorClass.INVALID, {"M3SYNCINVALIDVALUE": _VALUE, "M3SYNCINVALIDRECORD": _RECORD}
)

_NO_RECORD = _table(
    ErrorClass.DEPENDENCY,
    {
        "M3SYNCNORECORD": (
            "Write the m3ter id into the external ID field of the Salesforce record, or set match: "
            "upsert to have it created. `m3sync rejects retry` tries it in the next run."
        ),
        "M3SYNCNOPARENTRECORD": (
            "Write the parent's m3ter id into the external ID field of its Salesforce record, or "
            "set match: upsert for the parent. The run that finds the record sends this row too."
        ),
    },
)

MEANINGS = _TRANSIENT | _QUOTAS | _AUTHENTICATION | _CONFIGURATION | _PERMANENT | _COLLATERAL
MEANINGS |= _INVALID | _NO_RECORD

_MISSING_PARENT = ErrorMeaning(
    ErrorClass.DEPENDENCY,
    "Nothing to do if the parent is sent later. Otherwise sync the parent's entity type too, and "
    "check that the parent was not rejected.",
)
_REFUSED_LINK = (
    "Correct what the account is linked by in m3ter, or assign the permission set "
    "m3sync_account_link to the integration user, so that it may read the record."
)


def _login(remedy: str) -> ErrorMeaning:
    return ErrorMeaning(ErrorClass.AUTHENTICATION, remedy)


MEANINGS_BY_MESSAGE: dict[str, tuple[tuple[str, ErrorMeaning], ...]] = {
    "INVALIDFIELD": ((PARENT_NOT_FOUND, _MISSING_PARENT),),
    "INVALIDCROSSREFERENCEKEY": (
        (REFUSED_LINK, ErrorMeaning(ErrorClass.PERMANENT, _REFUSED_LINK)),
    ),
    "MALFORMEDID": ((REFUSED_LINK, ErrorMeaning(ErrorClass.PERMANENT, _REFUSED_LINK)),),
    "INSUFFICIENTACCESSONCROSSREFERENCEENTITY": (
        (REFUSED_LINK, ErrorMeaning(ErrorClass.CONFIGURATION, _REFUSED_LINK)),
    ),
    "REQUESTLIMITEXCEEDED": (("Concurrent", ErrorMeaning(ErrorClass.TRANSIENT, _TRY_LATER)),),
    "DUPLICATEVALUE": (
        ("Duplicate external id specified", ErrorMeaning(ErrorClass.PERMANENT, _BUG)),
    ),
    "INVALIDBATCH": (
        ("Field name not found", ErrorMeaning(ErrorClass.CONFIGURATION, _FIELD)),
        ("foreign key", ErrorMeaning(ErrorClass.CONFIGURATION, _BUG)),
    ),
    "APICURRENTLYDISABLED": (
        ("for this user", ErrorMeaning(ErrorClass.CONFIGURATION, _API_ACCESS)),
    ),
    "OAUTHAPPACCESSDENIED": (("admin approved", _login(_APPROVE)),),
    "INVALIDGRANT": (
        ("no client credentials user", _login("Choose a Run-As user in the app's policies.")),
        ("hasn't approved", _login(_APPROVE)),
        ("admin approved", _login(_APPROVE)),
        ("cert", _login("Give the app a certificate of the private key that has not expired.")),
        ("assertion", _login("Give the app the certificate that belongs to this private key.")),
        ("audience", _login("Check the login URL: production and sandboxes have different ones.")),
        ("expired", _login("Correct this machine's clock: the signed request has expired.")),
        ("locked", _login(_LOCKED)),
        ("inactive", _login(_LOCKED)),
        ("ip restricted", _login("Allow this machine's address in the app's IP policy.")),
    ),
}
"""Codes whose meaning depends on the message: the first whose words are in it, else the table."""

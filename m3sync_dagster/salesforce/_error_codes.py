"""The table of Salesforce's error codes. ``errors`` says how it is read.

A key is the code's letters and digits in upper case.
"""

from dataclasses import dataclass

from m3sync_dagster.sync.results import ErrorClass


@dataclass(frozen=True, slots=True)
class Advice:
    """What kind of trouble a code means, and what a person can do about it."""

    error_class: ErrorClass
    remedy: str


def _table(error_class: ErrorClass, remedies: dict[str, str]) -> dict[str, Advice]:
    """Spread a remedy over the codes that share it."""
    return {
        code: Advice(error_class, remedy)
        for codes, remedy in remedies.items()
        for code in codes.split()
    }


UNKNOWN = Advice(
    ErrorClass.PERMANENT,
    "m3sync does not know this code: read Salesforce's message, and correct the record, the "
    "mapping or the org.",
)

UNKNOWN_LOGIN = Advice(
    ErrorClass.AUTHENTICATION,
    "m3sync does not know this code: read Salesforce's message, and check the app in Setup.",
)

_LATER = "Nothing to do: it passes by itself, and the next run sends the row again."
_TRY_LATER = "Wait for the next run; if it stays so, look at https://status.salesforce.com."
_QUOTA = (
    "Wait: the next hour's run goes on from here. If it happens daily, raise the org's API limit "
    "(Salesforce Setup, Company Information)."
)
_PERMISSION = (
    "Assign the m3sync permission set to the integration user, and check the sharing of the object."
)
_FIELD = (
    "Deploy the objects and fields with `m3sync salesforce deploy`, assign the permission set to "
    "the integration user, or correct the mapping."
)
_VALUE = "Correct the value in m3ter, or map the field to one that can hold it."
_RECORD = "Look at the record in m3ter: it is not of the form that m3ter documents."
_RULE = "Change the record in m3ter so that it meets the org's rule, or change the rule."
_APP = "Check the client id, client secret and login URL against the app in Salesforce Setup."
_APPROVE = "Pre-authorize the integration user for the app, by its profile or a permission set."
_MOVED = (
    "Set the login URL to the org's My Domain URL (Salesforce Setup, My Domain): what was asked is "
    "at another address now."
)
_API_ACCESS = (
    "Give the integration user API access (the permission API Enabled), and check the org's "
    "edition and policies."
)
CODELESS_LOGIN = Advice(ErrorClass.AUTHENTICATION, _APP)
_LOCKED = "Ask a Salesforce administrator to unlock or activate the integration user."
_BUG = "This is a fault of m3sync: report it with this message."

_TRANSIENT = _table(
    ErrorClass.TRANSIENT,
    {
        "UNABLETOLOCKROW TOOMANYLOCKFAILURE": (
            "Nothing to do: another process held the record; the next run sends it again. If it "
            "stays so, look for automations that change the same records."
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
        "HTTP420": "Check the login URL: Salesforce's edge has no route for this host.",
        "CANNOTEXECUTEFLOWTRIGGER": "Debug the flow that runs when the object is saved.",
    },
)
_QUOTAS = _table(
    ErrorClass.QUOTA,
    {
        "REQUESTLIMITEXCEEDED EXCEEDEDQUOTA TOOMANYJOBS HTTP429": _QUOTA,
        "INSERTUPDATEDELETENOTALLOWEDDURINGMAINTENANCE APICURRENTLYDISABLED": (
            "Wait until Salesforce's maintenance of the org is over; the next run goes on."
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
            "Enable the login flow in the app's OAuth settings in Salesforce Setup."
        ),
        "INACTIVEUSER INACTIVEORG PASSWORDLOCKOUT INVALIDLOGIN INVALIDUSER "
        "INVALIDOPERATIONWITHEXPIREDPASSWORD LOGINMUSTUSESECURITYTOKEN": _LOCKED,
        "RATELIMITEXCEEDED LOGINRATEEXCEEDED": (
            "Wait an hour before the next login: Salesforce saw too many for this user."
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
            "Look at the Apex trigger or flow that the message names, and at the permissions of "
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
            "Find the Salesforce record that holds the same unique value, and merge or change it."
        ),
        "DUPLICATEEXTERNALID HTTP300": (
            "Two Salesforce records hold this external ID: delete one, and make the field unique."
        ),
        "DUPLICATESDETECTED": "Change the org's duplicate rule, or merge the records it found.",
        "FIELDCUSTOMVALIDATIONEXCEPTION FIELDFILTERVALIDATIONEXCEPTION "
        "FIELDINTEGRITYEXCEPTION": _RULE,
        "INVALIDCROSSREFERENCEKEY MALFORMEDID INVALIDIDFIELD": (
            "Correct the Id that the row refers to: Salesforce has no such record, or hides it."
        ),
        "ENTITYISDELETED": "Empty the record out of Salesforce's recycle bin, or restore it.",
        "JOBABORTED JOBFAILED INVALIDJOBSTATE": (
            "Look at the job in Salesforce Setup, Bulk Data Load Jobs."
        ),
    },
)
_COLLATERAL = _table(
    ErrorClass.COLLATERAL, {"ALLORNONEOPERATIONROLLEDBACK PROCESSINGHALTED": _LATER}
)

_INVALID = _table(
    ErrorClass.INVALID, {"M3SYNCINVALIDVALUE": _VALUE, "M3SYNCINVALIDRECORD": _RECORD}
)

ADVICE = _TRANSIENT | _QUOTAS | _AUTHENTICATION | _CONFIGURATION | _PERMANENT | _COLLATERAL
ADVICE |= _INVALID

_MISSING_PARENT = Advice(
    ErrorClass.DEPENDENCY,
    "Nothing to do while the parent is on its way; otherwise sync the parent's type as well, and "
    "check that the parent was not rejected.",
)


def _login(remedy: str) -> Advice:
    return Advice(ErrorClass.AUTHENTICATION, remedy)


EXCEPTIONS: dict[str, tuple[tuple[str, Advice], ...]] = {
    "INVALIDFIELD": (("Foreign key external ID", _MISSING_PARENT),),
    "REQUESTLIMITEXCEEDED": (("Concurrent", Advice(ErrorClass.TRANSIENT, _TRY_LATER)),),
    "DUPLICATEVALUE": (("Duplicate external id specified", Advice(ErrorClass.PERMANENT, _BUG)),),
    "INVALIDBATCH": (
        ("Field name not found", Advice(ErrorClass.CONFIGURATION, _FIELD)),
        ("foreign key", Advice(ErrorClass.CONFIGURATION, _BUG)),
    ),
    "APICURRENTLYDISABLED": (("for this user", Advice(ErrorClass.CONFIGURATION, _API_ACCESS)),),
    "OAUTHAPPACCESSDENIED": (("admin approved", _login(_APPROVE)),),
    "INVALIDGRANT": (
        ("no client credentials user", _login("Choose a Run-As user in the app's policies.")),
        ("hasn't approved", _login(_APPROVE)),
        ("admin approved", _login(_APPROVE)),
        ("cert", _login("Give the app a certificate of the private key that has not expired.")),
        ("assertion", _login("Give the app the certificate of this very private key.")),
        ("audience", _login("Check the login URL: production and sandboxes differ.")),
        ("expired", _login("Set this machine's clock right: the signed request has expired.")),
        ("locked", _login(_LOCKED)),
        ("inactive", _login(_LOCKED)),
        ("ip restricted", _login("Allow this machine's address in the app's IP policy.")),
    ),
}
"""Codes whose message decides: the first whose words it holds, else the table."""

"""The table of words by which the provider's texts are classified, in English and Chinese.

The same words decide for refusals of createTask and for failures of tasks, because the provider puts the same
texts under several codes (contract 1.4, 2.3, 10). A stem counts only at the boundary of a word, and mostly
with a word beside it: "moderate load" and "safety vest" refuse nothing.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from provider.answers import Cause


@dataclass(frozen=True, slots=True)
class Row:
    """Texts that mean one cause.

    ``source`` is where the texts were seen, or "assumption". ``samples`` are texts that a person recognises.
    ``stems`` are the regular expressions that find them in a text of :func:`provider.texts.plain`.
    """

    cause: Cause
    source: str
    samples: tuple[str, ...]
    stems: tuple[str, ...]
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile("|".join(self.stems)))


_CREDIT: Final = r"(?:credits?|balance|funds|points)"
_PERIOD: Final = r"(?:daily|hourly|weekly|monthly|total|usage|spending)"
_NOT_AFTER: Final = r"(?<!access )(?<!protocol )(?<!constraint )(?<!schema )(?<!sharing )"
_NOT_BEFORE: Final = r"(?!.{0,40}\b(?:constraints?|integrity|unique|foreign|protocol|schema)\b)"
_BUSY: Final = r"(?:concurrent|running|active|ongoing|unfinished|pending|parallel|simultaneous)"

WORDS: Final[tuple[Row, ...]] = (
    Row(
        Cause.KEY_CAPPED,
        "contract 1.4",
        ("exceeded the daily limit", "usage exceeds limit"),
        (
            rf"\bexceed\w* (?:\w+ ){{0,3}}{_PERIOD} (?:\w+ )?(?:limit|cap|quota)\b",
            rf"\b{_PERIOD} (?:\w+ ){{0,2}}exceed\w* (?:the )?(?:limit|cap|quota)\b",
        ),
    ),
    Row(
        Cause.KEY_CAPPED,
        "assumption",
        ("daily limit reached", "已超过每日限额"),
        (
            rf"\b{_PERIOD} (?:\w+ )?(?:limit|cap|quota) (?:\w+ ){{0,2}}(?:reached|exceeded)\b",
            r"超(?:过|出)[^。]{0,8}(?:日|小时|周|月|总)(?:使用)?(?:限额|额度|上限)",
            r"(?:日|小时|周|月)(?:限额|额度|上限)已?(?:达到|用完|用尽|超)",
        ),
    ),
    Row(
        Cause.NO_CREDITS,
        "contract 1.4",
        ("credits insufficient", "balance isn't enough"),
        (
            rf"\b{_CREDIT}\W{{0,3}}(?:(?:is|are) )?insufficient\b",
            rf"\b{_CREDIT} (?:is|are)(?:n't| not) (?:enough|sufficient)\b",
        ),
    ),
    Row(
        Cause.NO_CREDITS,
        "contract 10",
        ("insufficient credits", "top up"),
        (rf"\binsufficient (?:\w+ ){{0,2}}(?:{_CREDIT}|quota)\b", r"\btop[- ]?up\b"),
    ),
    Row(
        Cause.NO_CREDITS,
        "assumption",
        ("not enough credits", "out of credits", "余额不足", "积分不足", "请充值"),
        (
            rf"\b(?:not enough|out of|no(?: more)?) {_CREDIT}\b",
            rf"\b{_CREDIT} (?:\w+ )?(?:ran|run|used|exhausted|depleted)\b",
            r"\bpayment (?:is )?required\b",
            r"\bplease recharge\b",
            r"(?:余额|积分|点数|额度|费用)(?:已经?)?(?:不足|不够|耗尽|用完|用尽)",
            r"请(?:先|及时)?充值",
            r"欠费",
        ),
    ),
    Row(
        Cause.TOO_MANY_RUNNING,
        "assumption",
        ("too many tasks running", "concurrency limit", "too many concurrent requests", "并发"),
        (
            r"\bconcurrency\b",
            r"\bconcurrent (?:\w+ )?(?:limit|tasks?|jobs?|requests?|generations?)\b",
            r"\btoo many (?:\w+ ){1,3}(?:running|in progress|in flight|at once|unfinished)\b",
            rf"\btoo many {_BUSY} (?:tasks|jobs|generations)\b",
            r"并发",
            r"(?:进行中|运行中|执行中|未完成)的?任务(?:数量?)?(?:过多|太多|已?达|超)",
        ),
    ),
    Row(
        Cause.RATE_LIMITED,
        "contract 1.4",
        ("rate limit exceeded", "call frequency is too high", "too frequent"),
        (r"\brate[- ]?limit", r"\bfrequency (?:is )?(?:too|limit)", r"\btoo frequent"),
    ),
    Row(
        Cause.RATE_LIMITED,
        "assumption",
        ("too many requests", "throttled", "请求频率过高", "操作频繁", "请求过多"),
        (
            r"\btoo many (?:api )?(?:requests|calls)\b",
            r"\bthrottl(?:ed|ing)\b",
            r"(?:请求|调用|访问|操作).{0,4}频[率繁]",
            r"频[率繁].{0,4}(?:高|快|限)",
            r"(?:请求|调用)(?:数量?)?(?:过多|太多|过快)",
            r"限流",
        ),
    ),
    Row(
        Cause.MODERATION,
        "contract 2.3",
        (
            "nsfw",
            "moderation",
            "moderated",
            "sensitive word",
            "safety system",
            "content policy",
            "prohibited",
            "violates",
            "copyright",
            "flagged",
        ),
        (
            r"\bnsfw",
            r"\bmoderat(?:ion|ed|ors?)\b(?! (?:load|traffic|delay|size))",
            r"\bsensitive (?:words?|contents?|terms?|keywords?|information|materials?|topics?|images?)\b",
            r"\b(?:too|potentially|deemed|considered|as) sensitive\b",
            r"\bsafety (?:systems?|polic\w+|filters?|check\w*|guidelines?|violations?|reasons?)\b",
            r"\bsafety (?:classifiers?|reviews?|rules?|settings?)\b",
            r"\b(?:content|usage|use|community|acceptable use|our)[- ](?:\w+ )?polic(?:y|ies)\b",
            r"\bpolicy (?:violat|breach|reject|refus)\w*",
            r"(?<!access is )(?<!access )\bprohibit(?:ed|s|ion)?\b",
            rf"{_NOT_AFTER}\bviolat(?:es?|ed|ing|ions?)\b{_NOT_BEFORE}",
            r"\bcopyright(?:s|ed)?\b(?! ?(?:\(c\)|©|\d))",
            r"(?<!feature )(?<!feature-)\bflagged\b",
        ),
    ),
    Row(
        Cause.MODERATION,
        "assumption",
        ("unsafe content", "content filter", "inappropriate content", "敏感", "违规", "审核不通过"),
        (
            r"\bunsafe (?:contents?|images?|prompts?|materials?|outputs?|requests?)\b",
            r"\b(?:is|are|was|were|as|be|deemed|considered) unsafe\b",
            r"\bcontent[- ](?:filter|safety|restriction)\w*",
            r"\bcontent (?:is |was )?(?:not allowed|blocked|rejected|restricted)\b",
            r"\b(?:inappropriate|disallowed|harmful|illegal|banned) (?:contents?|words?|prompts?)\b",
            r"\b(?:nudity|pornograph\w+|sexually explicit|sexual content)\b",
            r"\b(?:trademark|intellectual property)\b",
            r"敏感(?!度)",
            r"违[规禁]",
            r"违反.{0,12}(?:政策|规定|规范|准则|法律)",
            r"(?:审核|审查)(?:未|不|没有?)通过|未通过.{0,6}(?:审核|审查)",
            r"内容安全|色情|涉黄|侵权|版权",
        ),
    ),
    Row(
        Cause.MAINTENANCE,
        "contract 1.4",
        ("being maintained", "under maintenance"),
        (r"\bbeing maintained\b", r"\b(?:under|undergoing|in|for|scheduled|system) maintenance\b"),
    ),
    Row(
        Cause.MAINTENANCE,
        "assumption",
        ("maintenance mode", "系统维护"),
        (
            r"\bmaintenance (?:mode|window|in progress)\b",
            r"(?:系统|服务器?|接口|正在|停机).{0,4}维护|维护中",
            r"系统.{0,3}升级",
        ),
    ),
    Row(
        Cause.UNAUTHORIZED,
        "contract 1.4",
        ("do not have access permissions", "unauthorized"),
        (r"\bnot have (?:\w+ )?(?:access|permissions?)\b", r"\bunauthori[sz]ed\b(?! use)"),
    ),
    Row(
        Cause.UNAUTHORIZED,
        "assumption",
        ("invalid api key", "authentication failed", "account suspended", "未授权", "密钥无效"),
        (
            r"\b(?:invalid|incorrect|wrong|expired|revoked) (?:api[- ]?)?(?:key|token|credentials?)\b",
            r"\bapi[- ]?key (?:\w+ ){0,3}(?:invalid|expired|revoked|disabled|not (?:found|exist|valid))\b",
            r"\bauthentication (?:\w+ )?(?:failed|required|error)\b",
            r"\baccount (?:\w+ ){0,3}(?:suspended|disabled|banned|frozen|locked)\b",
            r"\bip (?:\w+ ){0,3}not (?:allowed|(?:in|on) (?:the )?(?:white|allow) ?list)\b",
            r"未授权|(?:无|没有)(?:访问)?权限|密钥(?:无效|错误|过期|不存在)|(?:鉴权|认证)失败",
        ),
    ),
    Row(
        Cause.BAD_REQUEST,
        "contract 1.4",
        (
            "is required",
            "range of allowed options",
            "within the specified range",
            "text length cannot exceed",
        ),
        (
            r"(?<!retry )(?<!login )\bis required\b",
            r"\brange of allowed options\b",
            r"\bwithin the specified range\b",
            r"\b(?:text )?length cannot exceed\b",
        ),
    ),
    Row(
        Cause.BAD_REQUEST,
        "assumption",
        ("invalid parameter", "cannot be empty", "must be one of", "参数错误", "不能为空"),
        (
            r"\binvalid (?:\w+ )?(?:param(?:eter)?s?|arguments?|values?|inputs?|fields?|enum|prompt)\b",
            r"\b(?:missing|required) (?:\w+ )?(?:param(?:eter)?s?|arguments?|fields?)\b",
            r"\b(?:cannot|can't|must not|may not) be (?:empty|blank|null)\b",
            r"\bmust be (?:one of|between|at (?:most|least)|less than|greater than|an? )",
            r"参数(?:错误|不正确|无效|缺失|不合法|异常)|不能为空|不支持的(?:参数|模型|格式)",
            r"(?:长度|字符数).{0,4}超|超(?:过|出).{0,6}(?:长度|字符)",
        ),
    ),
    Row(
        Cause.DISABLED,
        "contract 1.4",
        ("temporarily paused", "feature disabled"),
        (r"\btemporarily paused\b", r"\b(?:feature|model|interface) (?:is |has been )?disabled\b"),
    ),
    Row(
        Cause.DISABLED,
        "assumption",
        ("model has been discontinued", "模型已下线"),
        (
            r"\b(?:model|interface|endpoint) (?:\w+ ){0,3}(?:discontinued|deprecated|retired|offline)\b",
            r"(?:模型|接口|功能).{0,4}(?:停用|下线|暂停|禁用|关闭)",
        ),
    ),
)
"""The rows in order of precedence: what concerns the whole account comes before what concerns a request."""

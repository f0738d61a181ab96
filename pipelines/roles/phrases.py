"""The words by which broadcasters introduce, ask, hand over and thank: data, one table per language.

Patterns match the plain form of a passage (see `passages`): lower case, no punctuation, single spaces.
In a language without a table, only the structure of the conversation counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from pipelines.types import Role

NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language's table; the empty one matches nothing.

    A slot is the place where a name stands: after `introduction`, before `report`, around `thanks`.
    """

    introduction: re.Pattern[str] = NEVER  # before a slot that names the next speaker
    report: re.Pattern[str] = NEVER  # after a slot that describes the next speaker
    joins: re.Pattern[str] = NEVER  # after a slot that names the next speaker, described or not
    later: re.Pattern[str] = NEVER  # before an introduction: not yet
    quoting: re.Pattern[str] = NEVER  # before an introduction: somebody else's words
    thanks: re.Pattern[str] = NEVER  # beside a slot that names the speaker before
    farewell: re.Pattern[str] = NEVER  # after a slot that names the speaker before
    myself: re.Pattern[str] = NEVER  # before a slot that names the speaker
    sign_off: re.Pattern[str] = NEVER  # at the end of a turn, after the speaker's own name
    after_own_name: frozenset[str] = frozenset()
    greeting: re.Pattern[str] = NEVER  # before the name of the person addressed
    discourse: frozenset[str] = frozenset()  # opens a turn, before the name of the person addressed
    idle: frozenset[str] = frozenset()  # may stand beside the name of the person thanked
    over_to: re.Pattern[str] = NEVER  # after the name of the person addressed

    question: re.Pattern[str] = NEVER
    hosting: re.Pattern[str] = NEVER  # said only by whoever leads the broadcast
    to_report: re.Pattern[str] = NEVER  # hands over to a report
    to_guest: re.Pattern[str] = NEVER  # said to a guest
    to_reporter: re.Pattern[str] = NEVER  # asked of a reporter
    of_reporter: re.Pattern[str] = NEVER  # said by a reporter
    of_expert: re.Pattern[str] = NEVER  # said by an expert
    conversational: re.Pattern[str] = NEVER  # speech to somebody: "I", "you", "um"; rare in reports

    occupations: tuple[tuple[Role, frozenset[str]], ...] = ()
    vague: frozenset[str] = frozenset()  # occupations both inside and outside a broadcaster
    house: re.Pattern[str] = NEVER  # before the name of the broadcaster
    former: frozenset[str] = frozenset()  # turns a reporter into a guest
    broadcasters: re.Pattern[str] = NEVER
    labels: tuple[tuple[Role, re.Pattern[str]], ...] = ()  # labels that are not names
    anonymous: re.Pattern[str] = NEVER  # a label that names nobody
    honorifics: frozenset[str] = frozenset()
    organisations: frozenset[str] = frozenset()  # words inside the name of an organisation
    heads_of: frozenset[str] = frozenset()  # occupations whose "of" names an organisation
    at: frozenset[str] = frozenset()  # prepositions before an organisation …
    of: frozenset[str] = frozenset()  # … "of"
    place: frozenset[str] = frozenset()  # prepositions before a place
    articles: frozenset[str] = frozenset()
    joiners: frozenset[str] = frozenset()  # inside the name of an organisation, before a capital
    particles: frozenset[str] = frozenset()  # lower-case words inside a person's name
    conjunctions: frozenset[str] = frozenset()
    clause: frozenset[str] = frozenset()  # begins a new clause, which ends the description of a person …
    pronouns: frozenset[str] = frozenset()  # … unless it is one of these, which continue it
    common: frozenset[str] = frozenset()  # not part of any name …
    also_names: frozenset[str] = frozenset()  # … except these, with a capital inside a sentence

    def with_broadcasters(self, names: Collection[str]) -> Phrases:
        """The table with more broadcasters, in plain form."""
        if not names:
            return self
        return replace(self, broadcasters=_names(self.broadcasters.pattern, *map(re.escape, sorted(names))))

    @property
    def prepositions(self) -> frozenset[str]:
        return self.at | self.of | self.place

    def occupation(self, plain: str) -> Role | None:
        """The role that a word for an occupation suggests."""
        return next((role for role, words in self.occupations if plain in words), None)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")(?![\w'-])")


def _names(*alternatives: str) -> re.Pattern[str]:
    """Matches names, possessive or not: "dw's"."""
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")(?:'s)?(?![\w'-])")


_NOW = (
    r"(?: now| just| also| here| live| first| again| today| tonight| once more| straight| over| across| back)"
    r"{0,3}"
)
_WE = r"(?:we|i|we're|i'm|i am|we are|we'll|i'll|let's|let us|let me|i'd like to|we'd like to|i want to)"
_CAN = r"(?: can| will| want| to| like| going| gonna| able| should| would){0,3}"
_MORE = r"(?: for more| on (?:this|that|these|all)| about (?:this|that)| with (?:more|the latest)){0,3}"
_FROM = r"(?: (?:from|in) (?:the |our )?[\w'-]+(?: [\w'-]+)?)?"

_INTRODUCTION = _any(
    rf"{_WE}{_NOW}{_CAN}{_NOW} (?:speak|speaking|talk|talking|cross|crossing|turn|go|going){_NOW}"
    r" (?:to|with)",
    rf"{_WE}{_NOW}{_CAN}{_NOW} (?:hear|get|have){_NOW}{_MORE}(?: [\w'-]+){{0,3}}?{_NOW} from",
    rf"(?:let's|let me|i'd like to|we can|i want to|we) ?{_CAN}{_NOW}"
    rf" (?:bring in|introduce|welcome in|welcome|check in with|go live to)",
    rf"(?:joining|with) (?:me|us){_NOW}{_FROM}{_NOW}{_MORE}(?: is| are)",
    rf"(?:i'm|i am|we're|we are|i've been|we've been){_NOW}(?: being)? joined{_NOW}{_FROM}{_NOW}{_MORE} by",
    r"please welcome",
    r"(?:my|our|tonight's|today's)(?: first| next| second| special)? guests?"
    r"(?: today| tonight| now| here){0,3} (?:is|are)",
    rf"(?:i|we) (?:spoke|talked|caught up)(?: a little)? earlier{_NOW} (?:to|with)",
    rf"earlier(?: today| tonight)? (?:i|we) (?:spoke|talked|caught up){_NOW} (?:to|with)",
    r"(?:more|details|the latest|a report|this report|the story|report)(?: on (?:this|that))?(?: now)?"
    r" (?:from|by)",
    r"(?:here's|here is)(?= (?:our|the)\b)",
    r"(?:we have|i have)(?: with us| with me| here| in the studio){1,3}",
)
_REPORT = _any(
    r"(?:has|have|had) (?:this|the|our|more|that|the next) ?(?:report|story|details|on this|on that|from)?",
    r"(?:is|are) (?:here )?(?:with us|with me|following|live|standing by|in the studio|covering)",
    r"has been (?:following|looking|finding|speaking|talking|investigating|covering|to)",
    r"(?:went|filed this|sent us this)",
)
_JOINS = _any(
    r"(?:now )?(?:joins|is joining) (?:us|me)",
    r"reports(?: now)?(?: from [\w'-]+)?",
    r"has (?:the story|more|this report|our report|the details)",
    r"went to (?:see|meet|find out|take a look)|explains|takes a look|has been (?:to find out|finding out)",
)
_THANKS = _any(
    r"(?:many thanks(?: indeed)?|thanks|thank you)"
    r"(?: (?:so much|very much|ever so much|a lot|again|indeed|as ever|as always)){0,3}"
    r"(?: (?:for|to) (?:your (?:time|insights?|insight|thoughts|analysis|report|update|perspective)"
    r"|that(?: update| report)?|this|joining (?:us|me)|being (?:with us|here|on the programme)"
    r"|(?:speaking|talking) (?:to|with) (?:us|me)|coming in|having me|all of that))?"
    r"(?: (?:today|tonight|now|indeed|this (?:morning|evening|afternoon))){0,3}",
)
_FAREWELL = _any(r"(?:reporting |speaking )?(?:live )?there", r"reporting(?: live)?(?: there| from [\w'-]+)?")
_MYSELF = _any(r"(?:i'm|i am)", r"my name(?: is|'s)", r"this is")
_SIGN_OFF = _any(
    r"reporting(?: live)?(?: (?:from|for|in) .{2,40})?", r"for .{2,20} in .{2,20}", r"signing off"
)
_GREETING = _any(
    r"thanks(?: again)?",
    r"thank you(?: (?:so|very) much)?",
    r"hello|hi|hey|welcome|welcome back|cheers",
    r"good (?:morning|evening|afternoon|day)",
    r"(?:back to you|over to you|to you|nice to see you|good to see you|good to have you(?: with us)?)",
)

_BE = r"(?:is|are|was|were|'s|do|does|did|has|have|had|can|could|will|would|should|might|exactly|about|kind)"
_YOU = r"(?:you|we|they|he|she|it|this|there)"
_QUESTION = _any(
    r"(?<!say )(?<!says )(?<!know )(?<!knows )(?<!clear )(?<!about )(?<!of )(?<!is )(?<!see )"
    r"(?:what|how|why|who|when|where|which)"
    rf"(?: (?:much|many|far|long|big|likely|important|serious|kind of \w+))? {_BE}",
    r"(?:what's|how's|where's|why's)",
    rf"(?:can|could|do|does|did|is|are|was|were|would|will|has|have|should) {_YOU}"
    r" (?!\w+ (?:been|be) said)\w+",
    r"(?:tell|talk to|walk|take) us(?: more| through| about)?|give us (?:a|your|some)",
    r"(?:your|what's your) (?:view|take|reaction|assessment|sense|reading|response)",
    r"(?:what|how) about",
)
_HOSTING = _any(
    r"stay (?:with us|tuned)|stay right there|don't go away",
    r"(?:you're|you are) (?:watching|listening to)",
    r"welcome (?:back|to (?:the|our|this) (?:programme|program|show|podcast|broadcast))|hello and welcome",
    r"thanks for (?:watching|listening|tuning in)|thank you for (?:watching|listening)",
    r"(?:that's|that is) (?:all|it) (?:for|from) (?:now|today|tonight|us|me)",
    r"coming up|still to come|after the break|in a moment",
    r"our (?:top|main|next|first) stor(?:y|ies)|(?:here are|these are) the (?:headlines|main stories)",
    r"let's (?:take|have) a (?:closer )?look|let's (?:bring in|go to|cross|get more|hear from|turn to)",
    r"as we've been (?:saying|hearing|reporting)|(?:for|with) (?:more|the latest) on (?:this|that)",
    r"(?:back|over) to you in the studio|in other news|now to|turning now",
)
_TO_REPORT = _any(
    r"(?:let's |we )?(?:take|have|took|takes) (?:a|another) (?:closer |quick |further |first )?look"
    r"(?: at| back)?",
    r"(?:this|our|the|a|here's a|here's our|next) report",
    r"has (?:the|this|that|our) (?:story|report|details)",
    r"here's (?:what|how|why|a look|the story)|watch this|let's (?:see|hear|listen|watch)",
    r"(?:has|have) been (?:finding out|following|investigating|to find out)",
    r"reports(?: now)?(?: from [\w'-]+)?$",
)
_TO_GUEST = _any(
    r"thank(?:s| you)(?: (?:so|very) much)?(?: indeed)? for (?:your (?:time|insights?|thoughts|analysis)"
    r"|joining|being (?:with us|here|on)|coming|talking|speaking|taking the time|making the time)",
    r"welcome to (?!the report|our report)|we appreciate (?:it|your)|(?:good|great|nice) to have you",
    r"in your (?:book|research|view|opinion|paper|expert)|as (?:an expert|a former|a scholar|a historian)",
)
_TO_REPORTER = _any(
    r"(?:what's|what is) the (?:latest|mood|situation|atmosphere|reaction|scene)"
    r"(?: (?:there|where|in|on|from))?",
    r"what (?:are|have) you(?: been)? (?:hearing|seeing|learning|learned|heard|found)",
    r"bring us up to (?:date|speed)|where you are|you're (?:there|in|at|outside)|from where you",
    r"what more do we know|what do we know|what can you (?:see|hear)",
    r"you've been (?:following|speaking|talking)",
    r"seen (?:as )?in [\w-]+|how is (?:this|it|that) being (?:seen|received|viewed)",
)
_OF_REPORTER = _any(
    r"here in|behind me|i'm (?:standing|here|outside|at|in) (?:in|at|outside|the|front)?",
    r"(?:sources|officials|people) (?:here|told me|tell me|have told me|are telling)",
    r"(?:told|telling) (?:me|us|the bbc|dw|cnn|sky)",
    r"i(?:'ve)? (?:spoke|spoken|talked|been speaking|been talking) (?:to|with)",
    r"we're (?:hearing|learning|getting|seeing|expecting)",
    r"reporting from|the mood here|people here|on the ground here|back to you",
)
_OF_EXPERT = _any(
    r"(?:my|our) (?:research|study|book|paper|university|institute|cent(?:re|er)|data|analysis|findings)",
    r"thank(?:s| you)(?: (?:so|very) much)? for having me",
    r"(?:good|great|pleasure) to be (?:here|with you|on)",
    r"(?:when|while) i was (?:ambassador|minister|in government|in office|working)",
    r"my (?:students|colleagues)",
    r"in my (?:opinion|view|assessment|judgment)|i would argue|i('ve)? argued?",
)
_CONVERSATIONAL = _any(
    r"i|i'm|i've|i'd|i'll|me|my|you|you're|you've|your|um|uh|er|erm|well|yeah|okay|you know|let's say"
)

_REPORTERS = _words(
    "correspondent correspondents reporter reporters bureau editor colleague presenter anchor "
    "newsreader correspondent's"
)
_EXPERTS = _words(
    "professor lecturer fellow analyst expert director researcher economist historian ambassador "
    "minister author scholar strategist scientist adviser advisor senator mp mep congressman "
    "congresswoman governor mayor spokesman spokeswoman spokesperson founder president chair chairman "
    "chairwoman chairperson head leader chief secretary general colonel admiral member activist "
    "lawyer attorney doctor epidemiologist physicist sociologist psychologist virologist "
    "meteorologist climatologist engineer writer journalist columnist consultant specialist "
    "campaigner commissioner diplomat partner ceo dean deputy teacher physician banker trader "
    "politician guest dr teaches lectures runs leads heads volunteer resident farmer representative "
    "advocate coordinator manager"
)
_COMMON = _words(
    "a about after near of outside with on again all also always am an and any are as at back be "
    "because been before being both but by can could did do does doing done down each either else "
    "even ever every everyone few first for from get go going good got great had has have having he "
    "he's hello her here here's hers hi him his how however i i'd i'll i'm i've if in indeed into is "
    "it it's its just know last later latest let let's like live look made make many may maybe me "
    "mean might more most much must my need never new next no not nothing now off oh ok okay once one "
    "only onto or other our ours out over own part people perhaps please point quite rather really "
    "right said same saw say saying says second see seen she she's should since so some someone "
    "something soon sorry still such sure take talk tell than thank thanks that that's the their them "
    "then there there's these they they're thing things think this those three through time to today "
    "together tomorrow tonight too toward towards turn two um uh under until up us very want was way "
    "we we'll we're we've week welcome well were what what's when where whether which while who who's "
    "whose why will without would year years yeah yes yesterday yet you you'll you're you've your "
    "yours monday tuesday wednesday thursday friday saturday sunday january february march april june "
    "july august september october november december morning evening afternoon night everybody "
    "anybody somebody residents voters experts viewers listeners reporters friends guests guest men "
    "women children students workers officials soldiers ministers leaders joining joined joins "
    "reporting reports speaking report story team afraid glad happy delighted studio news programme "
    "program details former senior independent actually certainly absolutely exactly clearly "
    "obviously basically essentially frankly finally firstly secondly unfortunately sadly hopefully "
    "meanwhile early earlier far long short little big small old young mr mrs ms er erm hmm mhm "
    "cheers bye goodbye ladies gentlemen sir madam"
)

ENGLISH = Phrases(
    introduction=_INTRODUCTION,
    report=_REPORT,
    joins=_JOINS,
    later=_any(
        r"later(?: on)?|coming up|shortly|tomorrow|still to come|after the break|in a moment|soon|before"
    ),
    quoting=_any(
        r"said|says|say|saying|quote|phrase|words|told|claimed|like|wrote|headline|sentence|when you"
    ),
    thanks=_THANKS,
    farewell=_FAREWELL,
    myself=_MYSELF,
    sign_off=_SIGN_OFF,
    after_own_name=_words("in reporting for at with and from welcome good live here your you're this"),
    greeting=_GREETING,
    discourse=_words(
        "well yes yeah so okay ok and now but no right hi hello hey thanks indeed look good evening morning"
    ),
    idle=_words("that's that was is there live reporting speaking"),
    over_to=_any(
        r"(?:back|over) to you|let me|tell us|your|what|what's|why|how|who|when|where",
        r"(?:can|could|do|does|did|is|are|was|were|will|would|should|have|has)"
        r" (?:you|we|it|this|that|there|the)",
        r"you (?:have|are|were|said|mentioned)",
    ),
    question=_QUESTION,
    hosting=_HOSTING,
    to_report=_TO_REPORT,
    to_guest=_TO_GUEST,
    to_reporter=_TO_REPORTER,
    of_reporter=_OF_REPORTER,
    of_expert=_OF_EXPERT,
    conversational=_CONVERSATIONAL,
    occupations=((Role.CORRESPONDENT, _REPORTERS), (Role.ANALYST, _EXPERTS)),
    vague=_words("chief head"),
    house=_any(r"welcome (?:back )?to|watching|listening to|you're with"),
    former=_words("former ex-"),
    broadcasters=_names(
        r"bbc(?: news)?|dw(?: news)?|cnn|sky news|npr|abc|cbs|nbc|itv|pbs|cbc|msnbc|"
        r"bloomberg|reuters|euronews|afp|ap|rte|voa|wdr|zdf|ard|"
        r"al jazeera|france 24|deutsche welle|channel 4|radio free europe|fox news"
    ),
    labels=(
        (Role.ANCHOR, _any(r"(?:news ?)?anchor|host|presenter|moderator|interviewer|newsreader|studio|q")),
        (Role.CORRESPONDENT, _any(r"correspondent|reporter|bureau chief")),
        (Role.NARRATOR, _any(r"narrator|narration|voice-?over|voice over|vo|commentary")),
        (Role.ANALYST, _any(r"analyst|expert|guest|interviewee|professor")),
        (Role.OTHER, _any(r"clip|soundbite|vox pop|protester|resident|voter|audience|witness")),
    ),
    anonymous=_any(
        r"(?:unidentified |unknown )?(?:speaker|man|woman|male|female|voice|translator|interpreter|a)",
        r"notes?|captions?|subtitles?|voice ?over|on ?screen|source|music|sound|title|video",
        r"q|question|answer",
    ),
    honorifics=_words(
        "dr doctor professor prof sir dame lord lady mr mrs ms ambassador senator general colonel admiral "
        "president minister governor mayor congressman congresswoman secretary mister judge captain"
    ),
    organisations=_words(
        "university college institute institution school council centre center foundation house group "
        "society association agency ministry department office bank party parliament news times post "
        "journal guardian radio television tv magazine union commission organisation organization think- "
        "tank academy forum fund initiative network company corporation committee hospital church league "
        "federation alliance international watch amnesty laboratory lab"
    ),
    heads_of=_words(
        "director head president founder member ceo editor chair chairman chairwoman leader dean mayor"
    ),
    at=_words("at with from for"),
    of=_words("of"),
    place=_words("in to near outside"),
    articles=_words("the a an our this his her"),
    joiners=_words("of for and the & in"),
    particles=_words("van von de der den da di del della bin al el la le du ibn ter dos st"),
    conjunctions=_words("and &"),
    pronouns=_words("he she he's she's"),
    clause=_words(
        "welcome thank thanks hello hi so what how why can could he she i we it you they but because good "
        "yeah well about on after before when where says said has had will"
    ),
    common=_COMMON,
    also_names=_words(
        "will may april june august morning evening world today night news report programme week"
    ),
)

TABLES = {"en": ENGLISH}


def phrases_for(language: str) -> Phrases:
    """The table of a BCP 47 language; the empty one where there is none."""
    return TABLES.get(language.partition("-")[0].casefold(), Phrases())

"""Images that are others by their bytes and the same by what is in them: nothing is to be reported."""

from tests.rig.tampering import Change, Klass, Tampering, again, edited, removed, setting
from tests.rig.tamperings.paths import INTERPRETER, SITE

UNTOUCHED = Klass("untouched")
SIX = f"{SITE}/six.py"


IMAGES: tuple[Tampering, ...] = (
    UNTOUCHED.does("a layer that changes nothing", "", lambda good: Change(entries=(again(good, "usr"),))),
    UNTOUCHED.does("a file at another time", "", lambda good: Change(entries=(again(good, SIX, mtime=1),))),
    UNTOUCHED.does(
        "a program at another time", "", lambda good: Change(entries=(again(good, INTERPRETER, mtime=1),))
    ),
    UNTOUCHED.does(
        "a folder at another time", "", lambda good: Change(entries=(again(good, "etc", mtime=1),))
    ),
    UNTOUCHED.does("a removal of nothing", "", lambda _: Change(entries=(removed("srv/nothing"),))),
    UNTOUCHED.does(
        "a file removed and added again", "", lambda good: Change(entries=(removed(SIX), again(good, SIX)))
    ),
    UNTOUCHED.does("volumes that are null", "", lambda _: Change(config=edited(setting("Volumes", None)))),
    UNTOUCHED.does("all layers in one", "", lambda _: Change(is_squashed=True)),
)

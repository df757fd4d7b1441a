from .children import serve as serve
from .drop_page import Served as Served
from .drop_page import page_app as page_app
from .listening import listener as listener
from .listening import serve_until_stopped as serve_until_stopped

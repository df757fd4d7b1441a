"""Images in folders: found, read, surveyed, sealed."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .class_folders import find_sealed, find_searched
    from .folder_files import SUFFIXES, TEST_LIST, expanded
    from .image_files import FileContents, LabelledFiles, read_files
    from .image_folder import ImageFolder
    from .new_file import write_new
    from .sealing import check_search, split_off_test
    from .survey import FolderSurvey, survey_folder
    from .test_list import listed_images, write_test_list

__all__ = [
    "SUFFIXES",
    "TEST_LIST",
    "FileContents",
    "FolderSurvey",
    "ImageFolder",
    "LabelledFiles",
    "check_search",
    "expanded",
    "find_sealed",
    "find_searched",
    "listed_images",
    "read_files",
    "split_off_test",
    "survey_folder",
    "write_new",
    "write_test_list",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "class_folders": ["find_sealed", "find_searched"],
            "folder_files": ["SUFFIXES", "TEST_LIST", "expanded"],
            "image_files": ["FileContents", "LabelledFiles", "read_files"],
            "image_folder": ["ImageFolder"],
            "new_file": ["write_new"],
            "sealing": ["check_search", "split_off_test"],
            "survey": ["FolderSurvey", "survey_folder"],
            "test_list": ["listed_images", "write_test_list"],
        },
    )

from .judge import judge_study as judge_study

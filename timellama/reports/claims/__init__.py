"""The paper's statements, the rules that judge them, and the verdicts."""

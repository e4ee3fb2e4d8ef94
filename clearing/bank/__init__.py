"""What the bank reports: payments that went out or came back, and deposits."""

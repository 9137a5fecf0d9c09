require ["reject","fileinto"]; fileinto "x"; reject "b";
